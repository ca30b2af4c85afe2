{#- Grain: one row per review and metric, as the review shows it. -#}
{{ replaced_when_reviewed() }}
with

metrics as (

    select * from {{ ref('review_metrics') }}

),

statuses as (

    select
        *,
        {{ day_count('period_start_date', 'period_end_date') }} as day_count,
        {{ day_count(earlier_period('period_start_date', 'review_kind'), 'period_start_date') }} as previous_day_count

    from {{ ref('int_review_statuses') }}

),

final as (

    select
        {{ review_keys('statuses') }},
        statuses.period_start_date,
        statuses.metric,
        cast(metrics.metric_position as integer) as metric_position,
        metrics.metric_group,
        metrics.label,
        metrics.phrase,
        metrics.is_plural,
        metrics.unit,
        metrics.higher_is,
        metrics.is_core,
        statuses.metric_value as value,
        statuses.previous_value,
        {{ review_change('metrics', 'statuses.metric_value', 'statuses.previous_value') }} as change,
        metrics.change_kind,
        case when metrics.is_additive
            then {{ money_ratio('statuses.metric_value', 'statuses.day_count') }}
        end as value_per_day,
        case when metrics.is_additive
            then {{ money_ratio('statuses.previous_value', 'statuses.previous_day_count') }}
        end as previous_value_per_day,
        case when metrics.is_additive and statuses.previous_value > 0 then {{ ratio(
            '(statuses.metric_value * statuses.previous_day_count - statuses.previous_value * statuses.day_count)',
            '(statuses.previous_value * statuses.day_count)'
        ) }} end as change_per_day,
        statuses.observation_count,
        coalesce(statuses.period_count, 0) as baseline_count,
        statuses.baseline_start_date,
        coalesce(statuses.baseline_state, 'none') as baseline_state,
        statuses.mean_value,
        statuses.lower_limit,
        statuses.upper_limit,
        statuses.status,
        headlines.tone,
        headlines.signal_position,
        case
            when headlines.headline_position <= {{ review_rule('summary_figures') }}
                then headlines.headline_position
        end as headline_position

    from {{ ref('int_reviews') }} as reviews

    inner join statuses
        on {{ same_review('reviews', 'statuses') }}

    inner join metrics
        on statuses.metric = metrics.metric

    inner join {{ ref('int_review_headlines') }} as headlines
        on
            {{ same_review('statuses', 'headlines') }}
            and statuses.metric = headlines.metric

    where {{ is_made_anew('reviews') }}

)

select * from final
