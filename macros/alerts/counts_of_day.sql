{#-
    The body of a rule that counts what should not be on the last complete day: from a relation with
    scope_kind, scope_id and observed_value of the scopes that have some, and `scopes` (a relation with
    scope_kind, scope_id, organization_id) that could have. A team that is deleted since may have some too. A scope
    without a row has none; one whose observed_value is null is not known, and `unknown` says why.
-#}
{%- macro counts_of_day(rule, counts, scopes, measure, fires, threshold, clear_threshold, evidence, unknown=none) -%}
measured as (

    select
        coalesce(scopes.scope_kind, counts.scope_kind) as scope_kind,
        coalesce(scopes.scope_id, counts.scope_id) as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        scopes.organization_id,
        '{{ measure }}' as measure,
        case when counts.scope_id is null then 0 else counts.observed_value end as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        {{ day_start('moment.last_complete_date') }} as window_start,
        moment.last_complete_until as window_end,
        moment.last_complete_until as data_as_of,
        case
            when moment.last_complete_date is null then 'no complete day is published'
            {%- if unknown %}
            when counts.scope_id is not null and counts.observed_value is null then '{{ unknown }}'
            {%- endif %}
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        true as is_supported

    from {{ scopes }} as scopes

    -- a scope without any, or one that is gone
    full outer join {{ counts }} as counts
        on
            scopes.scope_kind = counts.scope_kind
            and scopes.scope_id = counts.scope_id

    cross join {{ ref('int_alert_moment') }} as moment

)

{{ alert_candidates_of(
    'measured', rule=rule, fires=fires, threshold=threshold, clear_threshold=clear_threshold, evidence=evidence
) }}
{%- endmacro -%}
