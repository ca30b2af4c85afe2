{#-
    The rows of a rule, in the columns that all rules have, from a relation with one row per scope:
    scope_kind, scope_id, scope_name, organization_id, measure (what was measured, for people), observed_value, baseline_value, volume, window_start,
    window_end, data_as_of, unknown_reason (null: it is known), severity (null: the rule's own) and
    is_supported (false: too little to fire on).

    `fires`: how the observed value stands to the threshold when the rule fires: '>', '>=' or '<='. Beyond it
    and supported is `breach`; on the other side of the clear threshold is `clear`; between, or beyond and not
    supported, is `holding`, which neither opens nor resolves anything. What is not known is `unknown`.

    `clear_when`: when it is clear although nothing could be measured, as when nothing is used up.
    `evidence` is a query of up to five rows that contribute most, as text, whose parameters are written
    $scope_id, $window_start and $window_end.

    `counted_unit`: the unit of the volume, as SQL; of the baseline too where the observed value only says how
    far it is from the usual, whose own value `actual_value` then is.
-#}
{%- macro alert_candidates_of(
    measured, rule, fires, threshold, clear_threshold, evidence, clear_when="false",
    counted_unit="null", actual_value="null"
) -%}
    {%- set clears = {'>': '<=', '>=': '<', '<=': '>'}[fires] -%}
    select
        cast('{{ rule }}' as {{ dbt.type_string() }}) as rule,
        cast(measured.scope_kind as {{ dbt.type_string() }}) as scope_kind,
        cast(measured.scope_id as {{ dbt.type_string() }}) as scope_id,
        cast(coalesce(measured.scope_name, measured.scope_id) as {{ dbt.type_string() }}) as scope_name,
        cast(measured.organization_id as {{ dbt.type_string() }}) as organization_id,
        cast(coalesce(measured.severity, rules.severity) as {{ dbt.type_string() }}) as severity,
        cast(
            case
                when measured.unknown_reason is not null then 'unknown'
                when {{ clear_when }} then 'clear'
                when measured.observed_value is null then 'unknown'
                when
                    measured.observed_value {{ fires }} measured.threshold
                    and measured.is_supported then 'breach'
                when measured.observed_value {{ clears }} measured.clear_threshold then 'clear'
                else 'holding'
            end as {{ dbt.type_string() }}
        ) as verdict,
        cast(
            case
                when measured.unknown_reason is not null then measured.unknown_reason
                when measured.observed_value is null and not {{ clear_when }} then 'nothing was measured'
            end as {{ dbt.type_string() }}
        ) as unknown_reason,
        cast(measured.measure as {{ dbt.type_string() }}) as measure,
        cast(measured.observed_value as numeric(28, 8)) as observed_value,
        cast(rules.unit as {{ dbt.type_string() }}) as unit,
        cast('{{ fires }}' as {{ dbt.type_string() }}) as comparison,
        cast(measured.threshold as numeric(28, 8)) as threshold,
        cast(measured.clear_threshold as numeric(28, 8)) as clear_threshold,
        cast(measured.baseline_value as numeric(28, 8)) as baseline_value,
        cast(measured.volume as bigint) as volume,
        cast({{ counted_unit }} as {{ dbt.type_string() }}) as counted_unit,
        cast({{ actual_value }} as numeric(28, 8)) as actual_value,
        cast(measured.window_start as timestamp) as window_start,
        cast(measured.window_end as timestamp) as window_end,
        cast(measured.data_as_of as timestamp) as data_as_of,
        cast('{{ evidence | trim | replace("'", "''") }}' as {{ dbt.type_string() }}) as evidence_query

    from (
        select
            {{ measured }}.*,
            coalesce(overrides.threshold, {{ threshold }}) as threshold,
            coalesce(overrides.clear_threshold, {{ clear_threshold }}) as clear_threshold

        from {{ measured }}

        -- most scopes have the threshold of the rule
        left join {{ ref('alert_overrides') }} as overrides
            on
                overrides.rule = '{{ rule }}'
                and {{ measured }}.scope_kind = overrides.scope_kind
                and {{ measured }}.scope_id = overrides.scope_id
    ) as measured

    inner join {{ ref('alert_rules') }} as rules
        on rules.rule = '{{ rule }}'
{%- endmacro -%}
