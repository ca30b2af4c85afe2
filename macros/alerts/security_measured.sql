{#-
    The measured scopes of a rule on security, in the columns that alert_candidates_of reads, from a relation with
    source_name (platform, access_log, admin_sessions), scope_kind, scope_id, scope_name, organization_id, measure,
    observed_value, volume, is_supported, unknown_reason and its own thresholds; of several measures of a scope the
    worst. With a row of the platform that says so when `source_name` is absent.
-#}
{%- macro security_measured(relation, source_name) -%}
{%- set text = dbt.type_string() -%}
ranked as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            order by
                case
                    when unknown_reason is null and is_supported and observed_value >= own_threshold then 0
                    when unknown_reason is null and observed_value >= own_clear_threshold then 1
                    when unknown_reason is null then 2
                    else 3
                end,
                observed_value desc nulls last,
                measure
        ) as place

    from {{ relation }}

),

measured as (

    select
        ranked.scope_kind,
        ranked.scope_id,
        ranked.scope_name,
        ranked.organization_id,
        ranked.measure,
        ranked.observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(ranked.volume as bigint) as volume,
        sources.evaluated_at - {{ var('alert_security_hours') }} * interval '1 hour' as window_start,
        sources.evaluated_at as window_end,
        sources.data_as_of,
        ranked.unknown_reason,
        cast(null as {{ text }}) as severity,
        ranked.is_supported,
        ranked.own_threshold,
        ranked.own_clear_threshold

    from ranked

    inner join {{ ref('int_alert_security_sources') }} as sources
        on ranked.source_name = sources.source_name
    where ranked.place = 1

    union all

    select
        'platform' as scope_kind,
        'platform' as scope_id,
        cast(null as {{ text }}) as scope_name,
        cast(null as {{ text }}) as organization_id,
        'what its source says' as measure,
        cast(null as numeric(28, 8)) as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        cast(null as timestamp) as window_start,
        evaluated_at as window_end,
        data_as_of,
        unknown_reason,
        cast(null as {{ text }}) as severity,
        false as is_supported,
        1 as own_threshold,
        1 as own_clear_threshold

    from {{ ref('int_alert_security_sources') }}
    where source_name = '{{ source_name }}' and unknown_reason is not null

)
{%- endmacro -%}
