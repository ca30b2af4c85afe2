{#-
    A left join of the scopes that have thresholds of their own for a rule, as `overrides`. An override stands for the
    rule's fixed threshold, which may still be raised to what is usual for the scope.
-#}
{%- macro join_alert_overrides(relation, rule) -%}
    -- most scopes have the thresholds of the rule
    left join {{ ref('alert_overrides') }} as overrides
        on
            overrides.rule = '{{ rule }}'
            and {{ relation }}.scope_kind = overrides.scope_kind
            and {{ relation }}.scope_id = overrides.scope_id
{%- endmacro -%}
