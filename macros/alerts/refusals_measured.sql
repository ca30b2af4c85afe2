{#- The sources that say of a request that it was refused, and where that was, for people. -#}
{%- macro refusal_sources() -%}
    {{ return({'access_log': '', 'litellm_failures': ' at LiteLLM'}) }}
{%- endmacro -%}

{#-
    Selects of what scopes met, one for each source that says so, in the columns that security_measured reads.
    `measure` says for people what is counted in column `observed`; `threshold` is the name of its var, and that of
    its clear threshold with _clears after it. `takes_override`: as of security_measured.
-#}
{%- macro refusals_measured(status, scope_kinds, measure, observed, threshold, sources=none, takes_override=true) -%}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
{%- for source_name in sources or refusal_sources() %}
    select
        source_name,
        scope_kind,
        scope_id,
        {{ no_text }} as scope_name,
        organization_id,
        '{{ measure | replace("{place}", refusal_sources()[source_name]) }}' as measure,
        {{ observed }} as observed_value,
        day_count as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var(threshold) }} as own_threshold,
        {{ var(threshold ~ '_clears') }} as own_clear_threshold,
        {{ takes_override | lower }} as takes_override

    from {{ ref('int_alert_refusals') }}
    where
        status = {{ status }}
        and source_name = '{{ source_name }}'
        and scope_kind in ('{{ scope_kinds | join("', '") }}')
    {%- if not loop.last %}

    union all
    {% endif %}
{%- endfor %}
{%- endmacro -%}

{#- Evidence: a select of what LiteLLM refused a scope in the window, with its class. -#}
{%- macro litellm_refusals_of_scope() -%}
    {%- set failures -%}
        (select * from raw.litellm_failures where $scope_id in (client, key_id, team_id) and happened_at >= $window_start and happened_at < $window_end)
    {%- endset -%}
    ({{ litellm_failures_classified(failures, "alerts.litellm_failure_classes", is_evidence=true) }}) as refused
{%- endmacro -%}
