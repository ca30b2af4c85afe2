{#- Whole microseconds from one timestamp to another, as bigint; null if either is null. -#}
{%- macro microseconds_between(start_expr, end_expr) -%}
    {{ return(adapter.dispatch('microseconds_between', 'llm_almanac')(start_expr, end_expr)) }}
{%- endmacro -%}

{%- macro default__microseconds_between(start_expr, end_expr) -%}
    {{ exceptions.raise_compiler_error("microseconds_between: no implementation for " ~ target.type) }}
{%- endmacro -%}

{%- macro duckdb__microseconds_between(start_expr, end_expr) -%}
    (epoch_us({{ end_expr }}) - epoch_us({{ start_expr }}))
{%- endmacro -%}

{%- macro postgres__microseconds_between(start_expr, end_expr) -%}
    cast(extract(epoch from ({{ end_expr }} - {{ start_expr }})) * 1000000 as bigint)
{%- endmacro -%}

{%- macro spark__microseconds_between(start_expr, end_expr) -%}
    (unix_micros({{ end_expr }}) - unix_micros({{ start_expr }}))
{%- endmacro -%}
