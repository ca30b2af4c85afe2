{#- A text value as a JSON string literal, quotes included. -#}
{%- macro json_text(expression) -%}
    cast(to_json({{ expression }}) as {{ dbt.type_string() }})
{%- endmacro -%}
