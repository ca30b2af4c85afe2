{#-
    The measured scopes of a rule on security, in the columns that alert_candidates_of reads, from a relation with
    source_name, scope_kind, scope_id, scope_name, organization_id, measure, observed_value, volume, is_supported,
    unknown_reason and own thresholds; of several measures of a scope the worst. An override stands for the thresholds
    of the measure that `takes_override`: what the other measures of a rule count is something else. A scope is clear
    only as far as each of `source_names` reaches, whichever it was measured by: the one that saw it refused may be the
    one that is away. With a row of the platform that says what is missing when none of them can be asked, or one that
    could be: its volume is how many could be and cannot any more.
-#}
{%- macro security_measured(relation, source_names, rule) -%}
{%- set text = dbt.type_string() -%}
{%- set names = "'" ~ source_names | join("', '") ~ "'" -%}
overridden as (

    select
        {{ relation }}.*,
        case when takes_override then coalesce(overrides.threshold, own_threshold) else own_threshold end as fires_at,
        case
            when takes_override then coalesce(overrides.clear_threshold, own_clear_threshold)
            else own_clear_threshold
        end as clears_at

    from {{ relation }}

    {{ join_alert_overrides(relation, rule) }}

),

ranked as (

    select
        *,
        case
            -- what is not a number, larger than any threshold, hides no breach
            when
                unknown_reason is null and is_supported and observed_value >= fires_at
                and not {{ is_nan('observed_value') }} then 0
            when unknown_reason is null and observed_value >= clears_at then 1
            when unknown_reason is null then 2
            else 3
        end as standing

    from overridden

),

placed as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            order by standing, observed_value desc nulls last, measure, source_name
        ) as place

    from ranked

),

missing as (

    select
        min(evaluated_at) as evaluated_at,
        min(data_as_of) as data_as_of,
        min(clear_until) as clear_until,
        count(case when unknown_reason is null then 1 end) as usable_count,
        count(case when unknown_reason is not null and clear_until is not null then 1 end) as lost_count,
        {{ dbt.listagg("unknown_reason", "'; '", "order by source_name") }} as all_reasons,
        {{ dbt.listagg("case when clear_until is not null then unknown_reason end", "'; '", "order by source_name") }} as lost_reasons

    from {{ ref('int_alert_security_sources') }}
    where source_name in ({{ names }})

),

measured as (

    select
        placed.scope_kind,
        placed.scope_id,
        placed.scope_name,
        placed.organization_id,
        placed.measure,
        placed.observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        placed.volume,
        sources.evaluated_at - {{ var('alert_security_hours') }} * interval '1 hour' as window_start,
        sources.evaluated_at as window_end,
        case
            when placed.standing = 2 then least(sources.data_as_of, coalesce(missing.clear_until, sources.data_as_of))
            else sources.data_as_of
        end as data_as_of,
        placed.unknown_reason,
        cast(null as {{ text }}) as severity,
        placed.is_supported,
        placed.fires_at,
        placed.clears_at

    from placed
    inner join {{ ref('int_alert_security_sources') }} as sources
        on placed.source_name = sources.source_name
    cross join missing
    where placed.place = 1

    union all

    select
        'platform' as scope_kind,
        'platform' as scope_id,
        cast(null as {{ text }}) as scope_name,
        cast(null as {{ text }}) as organization_id,
        'what its source says' as measure,
        cast(null as numeric(28, 8)) as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(lost_count as bigint) as volume,
        cast(null as timestamp) as window_start,
        evaluated_at as window_end,
        data_as_of,
        case when usable_count = 0 then all_reasons else lost_reasons end as unknown_reason,
        cast(null as {{ text }}) as severity,
        false as is_supported,
        1 as fires_at,
        1 as clears_at

    from missing
    where usable_count = 0 or lost_count > 0

)
{%- endmacro -%}
