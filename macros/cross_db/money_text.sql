{#- The text of an amount of money, with its eight places. -#}
{%- macro money_text(expression) -%}
    {{ return(adapter.dispatch('money_text', 'llm_almanac')(expression)) }}
{%- endmacro -%}

{%- macro default__money_text(expression) -%}
    cast({{ expression }} as {{ dbt.type_string() }})
{%- endmacro -%}

{#- its cast writes a small amount with an exponent -#}
{%- macro spark__money_text(expression) -%}
    replace(format_number({{ expression }}, 8), ',', '')
{%- endmacro -%}
