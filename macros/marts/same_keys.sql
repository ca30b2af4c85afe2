{#- The join condition "same entity, same period" between two relations. -#}
{%- macro same_keys(left_relation, right_relation, keys) -%}
    {%- for key in keys + ['period_start_date'] -%}
    {{ left_relation }}.{{ key }} = {{ right_relation }}.{{ key }}
    {%- if not loop.last %} and {% endif -%}
    {%- endfor -%}
{%- endmacro -%}
