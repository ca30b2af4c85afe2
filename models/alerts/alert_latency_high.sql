{#-
    Grain: one row per model group that answered a call in the last seven days.

    A group that is always slower than the limit is compared with itself: it fires when its p95 is beyond
    twice what is usual. Without a baseline nobody knows what is usual.
-#}
with

recent as (

    select * from {{ ref('int_alert_recent_latencies') }}

),

moment as (

    select * from {{ ref('int_alert_moment') }}

),

measured as (

    select
        'model_group' as scope_kind,
        recent.model_group as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        'p95 of the latency' as measure,
        recent.latency_p95_ms as observed_value,
        recent.usual_p95_ms as baseline_value,
        recent.call_count as volume,
        moment.evaluated_at - recent.window_hours * interval '1 hour' as window_start,
        moment.evaluated_at as window_end,
        moment.data_as_of,
        case
            when recent.baseline_day_count < {{ var('alert_baseline_min_days') }}
                then 'fewer than {{ var("alert_baseline_min_days") }} days of history'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        recent.call_count >= {{ var('alert_latency_min_calls') }}
        and {{ significantly_above('recent.slow_count', 'recent.call_count', '0.05') }}
        and recent.slow_job_count >= {{ var('alert_min_jobs') }}
        -- it still goes on
        and recent.slow_count_of_day > 0.05 * recent.call_count_of_day as is_supported,
        recent.p95_threshold_ms,
        recent.p95_clear_threshold_ms

    from recent
    cross join moment

)

{{ alert_candidates_of(
    'measured',
    rule='latency_high',
    fires='>',
    threshold='p95_threshold_ms',
    clear_threshold='p95_clear_threshold_ms',
    evidence=evidence_of_slow_calls(),
    takes_overrides=false,
    counted_unit="'calls'",
) }}
