{#- An integer type of at least 37 decimal digits, for products that exact division needs. -#}
{%- macro type_wide_integer() -%}
    {{ return(adapter.dispatch('type_wide_integer', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro default__type_wide_integer() -%} numeric(38, 0) {%- endmacro -%}

{%- macro duckdb__type_wide_integer() -%} hugeint {%- endmacro -%}
