{#- Integer division of two non-negative wide integers, rounded down; on Spark it fails beyond a bigint. -#}
{%- macro integer_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('integer_quotient', 'llm_almanac')(numerator, denominator)) }}
{%- endmacro -%}

{%- macro default__integer_quotient(numerator, denominator) -%}
    {{ exceptions.raise_compiler_error("integer_quotient: no implementation for " ~ target.type) }}
{%- endmacro -%}

{%- macro duckdb__integer_quotient(numerator, denominator) -%}
    (({{ numerator }}) // ({{ denominator }}))
{%- endmacro -%}

{%- macro postgres__integer_quotient(numerator, denominator) -%}
    div({{ numerator }}, {{ denominator }})
{%- endmacro -%}

{%- macro spark__integer_quotient(numerator, denominator) -%}
    (({{ numerator }}) div ({{ denominator }}))
{%- endmacro -%}
