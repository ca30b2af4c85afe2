{#-
    Grain: one row per model group that answered a call in the last seven days.

    The average alone follows a single call of ten minutes, so p95 must be above what the weekday has, and
    more than a tenth of the calls slower than nineteen of twenty usually are.
-#}
with

recent as (

    select
        *,
        'model_group' as scope_kind,
        model_group as scope_id

    from {{ ref('int_alert_recent_latencies') }}

),

moment as (

    select * from {{ ref('int_alert_moment') }}

),

measured as (

    select
        recent.scope_kind,
        recent.scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        'average latency' as measure,
        recent.latency_avg_ms as observed_value,
        recent.usual_avg_ms as baseline_value,
        recent.call_count as volume,
        moment.evaluated_at - recent.window_hours * interval '1 hour' as window_start,
        moment.evaluated_at as window_end,
        moment.data_as_of,
        case
            when recent.baseline_day_count < {{ var('alert_baseline_min_days') }}
                then 'fewer than {{ var("alert_baseline_min_days") }} days of history'
            when {{ is_nan('recent.latency_p95_ms') }} or {{ is_nan('recent.weekday_p95_ms') }}
                then 'its p95 is not a number'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        recent.call_count >= {{ var('alert_latency_min_calls') }}
        and recent.latency_p95_ms > recent.weekday_p95_ms
        and {{ significantly_above('recent.unusual_count', 'recent.call_count', '0.10') }}
        and recent.unusual_job_count >= {{ var('alert_min_jobs') }}
        -- it still goes on
        and recent.unusual_count_of_day > 0.05 * recent.call_count_of_day as is_supported,
        greatest(
            coalesce(overrides.threshold, {{ var('alert_average_latency_fires_ms') }}),
            {{ var('alert_latency_factor') }} * recent.usual_avg_ms
        ) as average_threshold_ms,
        greatest(
            coalesce(overrides.clear_threshold, {{ var('alert_average_latency_clears_ms') }}),
            1.5 * recent.usual_avg_ms
        ) as average_clear_threshold_ms

    from recent
    cross join moment

    {{ join_alert_overrides('recent', 'performance_degraded') }}

)

{{ alert_candidates_of(
    'measured',
    rule='performance_degraded',
    fires='>',
    threshold='average_threshold_ms',
    clear_threshold='average_clear_threshold_ms',
    evidence=evidence_of_slow_calls(),
    takes_overrides=false,
    counted_unit="'calls'",
) }}
