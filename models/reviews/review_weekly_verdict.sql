{#- Grain: one row per ISO week: what its review says first; a week that is not complete has none. -#}
with

weeks as (

    select * from {{ ref('platform_usage_weekly') }}

),

counts as (

    select * from {{ ref('review_weekly_counts') }}

),

sentences as (

    select * from {{ ref('review_weekly_sentences') }}

),

costs as (

    select
        period_start_date,
        sum(change_usd) as client_cost_change_usd

    from {{ ref('review_weekly_drivers') }}
    where dimension = 'team'
    group by period_start_date

),

credits as (

    select max(low_credit_team_count) as low_credit_team_count from {{ ref('review_weekly_credits') }}

),

final as (

    select
        weeks.period_start_date,
        weeks.period_end_date,
        cast(weeks.period_start_date - interval '7 days' as date) as previous_period_start_date,
        weeks.is_complete,
        '{{ var("reporting_timezone") }}' as reporting_timezone,
        coalesce(sentences.verdict_sentence, 'The week is not over yet.') as verdict_sentence,
        coalesce(counts.metric_count, 0) as metric_count,
        coalesce(counts.signal_count, 0) as signal_count,
        coalesce(counts.bad_signal_count, 0) as bad_signal_count,
        coalesce(counts.normal_count, 0) as normal_count,
        coalesce(counts.undecided_count, 0) as undecided_count,
        coalesce(credits.low_credit_team_count, 0) as low_credit_team_count,
        weeks.unpriced_call_count,
        cast(coalesce(costs.client_cost_change_usd, 0) as numeric(28, 2)) as client_cost_change_usd,
        cast({{ review_rule('baseline_weeks') }} as integer) as baseline_weeks,
        cast({{ review_rule('minimum_weeks') }} as integer) as minimum_weeks,
        cast({{ review_rule('limit_factor') }} as numeric(4, 2)) as limit_factor,
        cast({{ review_rule('low_credit_days') }} as integer) as low_credit_days,
        weeks.built_at_as_of

    from weeks

    cross join credits

    -- an open week
    left join counts
        on weeks.period_start_date = counts.period_start_date

    left join sentences
        on weeks.period_start_date = sentences.period_start_date

    -- a platform without a call yet
    left join costs
        on weeks.period_start_date = costs.period_start_date

)

select * from final
