{#-
    Grain: one row per component that was probed in the last seven days.

    Slow: most of its last probes were answered beyond their limit. Flapping: it changed between answering and
    not within the last hour. The one that is beyond its threshold is told, the slowness if both are or none is.
-#}
{%- set slow_fires, slow_clears = var('alert_degraded_fires'), var('alert_degraded_clears') -%}
{%- set changes_fire, changes_clear = var('alert_flapping_fires'), var('alert_flapping_clears') -%}
with

components as (

    select
        *,
        slow_count <= {{ slow_fires }} and change_count > {{ changes_fire }}
        or slow_count <= {{ slow_clears }} and change_count > {{ changes_clear }} as is_flapping

    from {{ ref('int_alert_components') }}

),

measured as (

    select
        'component' as scope_kind,
        components.component as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        case
            when components.is_flapping then 'changes between answering and not in an hour'
            else 'slow ones of the last {{ var("alert_degraded_probes") }} probes'
        end as measure,
        case when components.is_flapping then components.change_count else components.slow_count end as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        case
            when components.is_flapping then {{ evaluated_at() }} - interval '1 hour'
            else components.first_of_last_at
        end as window_start,
        {{ evaluated_at() }} as window_end,
        components.counted_until as data_as_of,
        components.unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        true as is_supported,
        case when components.is_flapping then {{ changes_fire }} else {{ slow_fires }} end as fires_above,
        case when components.is_flapping then {{ changes_clear }} else {{ slow_clears }} end as clears_at

    from components

)

{{ alert_candidates_of(
    'measured',
    rule='component_degraded',
    fires='>',
    threshold='fires_above',
    clear_threshold='clears_at',
    evidence="select checked_at, verdict, latency_ms, reason from raw.health_probes "
    ~ "where component = $scope_id and checked_at < $window_end order by checked_at desc, probe_id desc limit 5",
) }}
