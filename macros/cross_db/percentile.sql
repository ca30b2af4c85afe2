{#-
    Continuous percentile of an integer expression, as numeric(20, 2); nulls are left out.

    With a fraction of two decimals the interpolated value has at most two decimals, so
    rounding the engine's double to two places gives the exact value back (up to 2^44).
-#}
{%- macro percentile(expression, fraction) -%}
    {{ return(adapter.dispatch('percentile', 'llm_almanac')(expression, fraction)) }}
{%- endmacro -%}

{%- macro default__percentile(expression, fraction) -%}
    cast(
        percentile_cont({{ fraction }}) within group (order by {{ expression }}) as numeric(20, 2)
    )
{%- endmacro -%}

{#- cast to numeric, a double keeps 15 digits; its text keeps all that it has -#}
{%- macro postgres__percentile(expression, fraction) -%}
    cast(
        cast(percentile_cont({{ fraction }}) within group (order by {{ expression }}) as text) as numeric(20, 2)
    )
{%- endmacro -%}
