{#-
    The rows of a rule, in the columns that all rules have, from a relation with one row per scope:
    scope_kind, scope_id, scope_name, organization_id, measure (what was measured, for people), observed_value, baseline_value, volume, window_start,
    window_end, data_as_of, unknown_reason (null: it is known), severity (null: the rule's own) and
    is_supported (false: too little to fire on).

    `fires`: how the observed value stands to the threshold when the rule fires: '>', '>=' or '<='. Beyond it
    and supported is `breach`; on the other side of the clear threshold is `clear`; between, or beyond and not
    supported, is `holding`, which neither opens nor resolves anything. What is not known is `unknown`. So is what is
    not a number, or is compared with what is none: to the engines NaN is larger than everything.

    `clear_when`: when it is clear although nothing could be measured, as when nothing is used up.
    `takes_overrides`: whether a scope's own thresholds stand for these; false where the relation has taken them in,
    so that what decides on support is what is shown.
    `evidence` is a query of up to five rows that contribute most, as text, whose parameters are written
    $scope_id, $window_start and $window_end; or one for each measure.

    `counted_unit`: the unit of the volume, as SQL; of the baseline too where the observed value only says how
    far it is from the usual, whose own value `actual_value` then is.
-#}
{%- macro alert_candidates_of(
    measured, rule, fires, threshold, clear_threshold, evidence, clear_when="false", takes_overrides=true,
    counted_unit="null", actual_value="null"
) -%}
    {%- set clears = {'>': '<=', '>=': '<', '<=': '>'}[fires] -%}
    {%- set fires_at = threshold -%}
    {%- set clears_at = clear_threshold -%}
    {%- if takes_overrides -%}
        {%- set fires_at = "coalesce(overrides.threshold, " ~ threshold ~ ")" -%}
        {%- set clears_at = "coalesce(overrides.clear_threshold, " ~ clear_threshold ~ ")" -%}
    {%- endif -%}
    select
        cast('{{ rule }}' as {{ dbt.type_string() }}) as rule,
        cast(measured.scope_kind as {{ dbt.type_string() }}) as scope_kind,
        cast(measured.scope_id as {{ dbt.type_string() }}) as scope_id,
        cast(coalesce(measured.scope_name, measured.scope_id) as {{ dbt.type_string() }}) as scope_name,
        cast(measured.organization_id as {{ dbt.type_string() }}) as organization_id,
        cast(coalesce(measured.severity, rules.severity) as {{ dbt.type_string() }}) as severity,
        cast(
            case
                when coalesce(measured.unknown_reason, measured.nan_reason) is not null then 'unknown'
                when {{ clear_when }} then 'clear'
                when measured.observed_number is null then 'unknown'
                when
                    measured.observed_number {{ fires }} measured.threshold
                    and measured.is_supported then 'breach'
                when measured.observed_number {{ clears }} measured.clear_threshold then 'clear'
                else 'holding'
            end as {{ dbt.type_string() }}
        ) as verdict,
        cast(
            coalesce(
                measured.unknown_reason,
                measured.nan_reason,
                case when measured.observed_number is null and not {{ clear_when }} then 'nothing was measured' end
            ) as {{ dbt.type_string() }}
        ) as unknown_reason,
        cast(measured.measure as {{ dbt.type_string() }}) as measure,
        cast(measured.observed_number as numeric(28, 8)) as observed_value,
        cast(rules.unit as {{ dbt.type_string() }}) as unit,
        cast('{{ fires }}' as {{ dbt.type_string() }}) as comparison,
        cast(measured.threshold as numeric(28, 8)) as threshold,
        cast(measured.clear_threshold as numeric(28, 8)) as clear_threshold,
        cast(measured.baseline_number as numeric(28, 8)) as baseline_value,
        cast(measured.volume_number as bigint) as volume,
        cast({{ counted_unit }} as {{ dbt.type_string() }}) as counted_unit,
        cast({{ number_or_null(actual_value) }} as numeric(28, 8)) as actual_value,
        cast(measured.window_start as timestamp) as window_start,
        cast(measured.window_end as timestamp) as window_end,
        cast(measured.data_as_of as timestamp) as data_as_of,
        {%- if evidence is mapping %}
        cast(
            case measured.measure
                {%- for measure, query in evidence.items() %}
                when '{{ measure }}' then {{ _as_literal(query) }}
                {%- endfor %}
                else {{ _as_literal((evidence.values() | list) | first) }}
            end as {{ dbt.type_string() }}
        ) as evidence_query
        {%- else %}
        cast({{ _as_literal(evidence) }} as {{ dbt.type_string() }}) as evidence_query
        {%- endif %}

    from (
        select
            {{ measured }}.*,
            {{ number_or_null(measured ~ '.observed_value') }} as observed_number,
            {{ number_or_null(measured ~ '.baseline_value') }} as baseline_number,
            {{ number_or_null(measured ~ '.volume') }} as volume_number,
            {{ number_or_null(fires_at) }} as threshold,
            {{ number_or_null(clears_at) }} as clear_threshold,
            case
                when
                    {{ is_nan(measured ~ '.observed_value') }}
                    or {{ is_nan(measured ~ '.volume') }} then 'what was measured is not a number'
                when
                    {{ is_nan(measured ~ '.baseline_value') }}
                    or {{ is_nan(fires_at) }}
                    or {{ is_nan(clears_at) }} then 'what it is compared with is not a number'
            end as nan_reason

        from {{ measured }}

        {% if takes_overrides %}{{ join_alert_overrides(measured, rule) }}{% endif %}
    ) as measured

    inner join {{ ref('alert_rules') }} as rules
        on rules.rule = '{{ rule }}'
{%- endmacro -%}

{%- macro _as_literal(query) -%}
'{{ query | trim | replace("'", "''") }}'
{%- endmacro -%}
