{#-
    Grain: one row per component that was probed in the last seven days.

    An answer, slow ones too, clears it; one or two failures neither open nor resolve anything. A component that
    is not required is a warning.
-#}
with

components as (

    select * from {{ ref('int_alert_components') }}

),

measured as (

    select
        'component' as scope_kind,
        components.component as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        'failed probes in a row' as measure,
        components.failed_in_a_row as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        coalesce(components.failed_since, components.counted_until) as window_start,
        {{ evaluated_at() }} as window_end,
        components.counted_until as data_as_of,
        components.unknown_reason,
        case when not components.is_required then 'warning' end as severity,
        true as is_supported

    from components

)

{{ alert_candidates_of(
    'measured',
    rule='component_down',
    fires='>=',
    threshold=var('alert_component_down_probes'),
    clear_threshold='1',
    evidence="select checked_at, verdict, latency_ms, reason from raw.health_probes "
    ~ "where component = $scope_id and checked_at < $window_end order by checked_at desc, probe_id desc limit 5",
) }}
