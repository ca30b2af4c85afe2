{#- Grain: one row per review of a complete period, and metric: its value judged against its natural limits. -#}
{{ config(materialized='table') }}
with

metric_values as (

    select * from {{ ref('review_values') }}
    where
        is_complete
        and {{ is_near_reviews(before=review_rule('drift_periods')) }}

),

judged_values as (

    select
        metric_values.*,
        baselines.baseline_start_date,
        baselines.baseline_state,
        baselines.period_count,
        baselines.mean_value,
        baselines.mean_moving_range,
        baselines.lower_limit,
        baselines.upper_limit,
        after.shifted_side

    from metric_values

    -- the first periods have no earlier ones
    left join {{ ref('review_baselines') }} as baselines
        on
            {{ same_review('metric_values', 'baselines', period=false) }}
            and metric_values.metric = baselines.metric
            and baselines.period_start_date
            = {{ earlier_period('metric_values.period_start_date', 'metric_values.review_kind') }}

    -- a period that is not comparable is in no run
    left join {{ ref('review_baselines') }} as after
        on
            {{ same_review('metric_values', 'after') }}
            and metric_values.metric = after.metric

),

sided as (

    select
        *,
        lag(case when is_comparable then metric_value end) over (
            partition by {{ review_keys() }}, metric
            order by period_start_date
        ) as previous_value,
        -- nearer the limit than the mean
        case
            when not is_judged or upper_limit is null then 0
            when 2 * (metric_value - mean_value) > mean_moving_range * {{ review_rule('limit_factor') }} then 1
            when 2 * (mean_value - metric_value) > mean_moving_range * {{ review_rule('limit_factor') }} then -1
            else 0
        end as outer_side

    from judged_values

),

drifting as (

    select
        *,
        sum(case when outer_side = 1 then 1 else 0 end) over recent as upper_count,
        sum(case when outer_side = -1 then 1 else 0 end) over recent as lower_count

    from sided
    window recent as (
        partition by {{ review_keys() }}, metric
        order by period_start_date
        rows {{ review_rule('drift_periods') - 1 }} preceding
    )

),

final as (

    select
        *,
        case
            when not is_judged or upper_limit is null then 'not enough data'
            when metric_value > upper_limit then 'above limit'
            when metric_value < lower_limit then 'below limit'
            when shifted_side = 1 then 'shift up'
            when shifted_side = -1 then 'shift down'
            when outer_side = 1 and upper_count >= {{ review_rule('drift_points') }} then 'drift up'
            when outer_side = -1 and lower_count >= {{ review_rule('drift_points') }} then 'drift down'
            else 'normal'
        end as status

    from drifting

)

select * from final
