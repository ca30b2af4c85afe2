{#- Grain: one row per review: what it says first; an open period of the platform has a row and no review. -#}
{{ made_after_kept_lists() }}
with

reviews as (

    select * from {{ ref('int_reviews') }}

),

costs as (

    select
        {{ review_keys() }},
        period_start_date,
        sum(change_usd) as client_cost_change_usd

    from {{ ref('review_drivers') }}
    where dimension = 'model'
    group by {{ review_keys() }}, period_start_date

),

credits as (

    select
        scope_kind,
        scope_id,
        max(low_credit_team_count) as low_credit_team_count

    from {{ ref('review_credits') }}
    group by scope_kind, scope_id

),

final as (

    select
        {{ review_keys('reviews') }},
        organizations.organization_name,
        reviews.period_start_date,
        reviews.period_end_date,
        reviews.previous_period_start_date,
        {{ day_count('reviews.period_start_date', 'reviews.period_end_date') }} as day_count,
        {{ day_count('reviews.previous_period_start_date', 'reviews.period_start_date') }} as previous_day_count,
        reviews.is_complete,
        reviews.is_first,
        reviews.has_activity,
        '{{ var("reporting_timezone") }}' as reporting_timezone,
        coalesce(
            sentences.verdict_sentence,
            case reviews.review_kind
                when 'weekly' then 'The week is not over yet.' else 'The month is not over yet.'
            end
        ) as verdict_sentence,
        {%- for figure in ['metric', 'signal', 'bad_signal', 'normal', 'undecided'] %}
        coalesce(counts.{{ figure }}_count, 0) as {{ figure }}_count,
        {%- endfor %}
        coalesce(credits.low_credit_team_count, 0) as low_credit_team_count,
        cast(reviews.unpriced_call_count as bigint) as unpriced_call_count,
        cast(coalesce(costs.client_cost_change_usd, 0) as numeric(28, 2)) as client_cost_change_usd,
        cast({{ review_rule('baseline_periods') }} as integer) as baseline_periods,
        cast({{ review_rule('minimum_periods') }} as integer) as minimum_periods,
        cast({{ review_rule('limit_factor') }} as numeric(4, 2)) as limit_factor,
        cast({{ review_rule('run_periods') }} as integer) as run_periods,
        cast({{ review_rule('minimum_observations') }} as integer) as minimum_observations,
        cast({{ review_rule('low_credit_days') }} as integer) as low_credit_days,
        {{ as_of() }} as built_at_as_of

    from reviews

    -- a scope without credits
    left join credits
        on
            reviews.scope_kind = credits.scope_kind
            and reviews.scope_id = credits.scope_id

    -- an open period
    left join {{ ref('int_review_counts') }} as counts
        on {{ same_review('reviews', 'counts') }}

    left join {{ ref('int_review_sentences') }} as sentences
        on {{ same_review('reviews', 'sentences') }}

    -- a scope without a call yet
    left join costs
        on {{ same_review('reviews', 'costs') }}

    -- the platform, and a team whose organization is not known
    left join {{ ref('int_scope_organizations') }} as organizations
        on
            reviews.scope_kind = organizations.scope_kind
            and reviews.scope_id = organizations.scope_id

)

select * from final
