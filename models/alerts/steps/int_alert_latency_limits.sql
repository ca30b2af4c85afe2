{#-
    Grain: one row per model group with a successful call in the seven days before the moment of evaluation:
    the window to look at, what is usual, and where its p95 is beyond the limit and where it is clear again.
-#}
with

calls as (

    select * from {{ ref('int_alert_calls') }}
    where latency_ms is not null

),

usual as (

    select * from {{ ref('int_alert_usual_latencies') }}

),

overrides as (

    select * from {{ ref('alert_overrides') }}
    where rule = 'latency_high' and scope_kind = 'model_group'

),

volumes as (

    select
        model_group,
        count(case when created_at >= {{ evaluated_at() }} - interval '24 hours' then 1 end) as calls_of_day,
        count(
            case when created_at >= {{ evaluated_at() }} - interval '72 hours' then 1 end
        ) as calls_of_three_days

    from calls
    group by model_group

),

final as (

    select
        volumes.model_group,
        case
            when volumes.calls_of_day >= {{ var('alert_latency_min_calls') }} then 24
            when volumes.calls_of_three_days >= {{ var('alert_latency_min_calls') }} then 72
            else 168
        end as window_hours,
        coalesce(usual.baseline_day_count, 0) as baseline_day_count,
        usual.usual_p95_ms,
        usual.usual_avg_ms,
        coalesce(usual.weekday_p95_ms, usual.usual_p95_ms) as weekday_p95_ms,
        greatest(
            coalesce(overrides.threshold, {{ var('alert_latency_fires_ms') }}),
            {{ var('alert_latency_factor') }} * usual.usual_p95_ms
        ) as p95_threshold_ms,
        greatest(
            coalesce(overrides.clear_threshold, {{ var('alert_latency_clears_ms') }}), 1.5 * usual.usual_p95_ms
        ) as p95_clear_threshold_ms

    from volumes

    -- a group that is new
    left join usual
        on volumes.model_group = usual.model_group

    -- most groups have the threshold of the rule
    left join overrides
        on volumes.model_group = overrides.scope_id

)

select * from final
