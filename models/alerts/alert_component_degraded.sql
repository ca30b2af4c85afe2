{#-
    Grain: one row per component that was probed in the last seven days.

    Slow: most of its last probes were answered beyond their limit. Flapping: it changed between answering and
    not within the last hour. The one that is beyond its threshold is told, the slowness if both are or none is.
    Thresholds of its own are of slow probes, the rule's unit.
-#}
{%- set slow_fires, slow_clears = var('alert_degraded_fires'), var('alert_degraded_clears') -%}
{%- set changes_fire, changes_clear = var('alert_flapping_fires'), var('alert_flapping_clears') -%}
with

probed as (

    select
        *,
        'component' as scope_kind,
        component as scope_id

    from {{ ref('int_alert_components') }}

),

limited as (

    select
        probed.*,
        coalesce(overrides.threshold, {{ slow_fires }}) as slow_fires,
        coalesce(overrides.clear_threshold, {{ slow_clears }}) as slow_clears

    from probed

    {{ join_alert_overrides('probed', 'component_degraded') }}

),

components as (

    select
        *,
        slow_count <= slow_fires and change_count > {{ changes_fire }}
        or slow_count <= slow_clears and change_count > {{ changes_clear }} as is_flapping

    from limited

),

measured as (

    select
        components.scope_kind,
        components.scope_id,
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
        case when components.is_flapping then {{ changes_fire }} else components.slow_fires end as fires_above,
        case when components.is_flapping then {{ changes_clear }} else components.slow_clears end as clears_at

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
    takes_overrides=false,
) }}
