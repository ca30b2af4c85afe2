{#-
    Continuous percentile of an integer expression, as numeric(20, 2); nulls are left out.

    With a fraction of two decimals the interpolated value has at most two decimals, so
    rounding the engine's double to two places gives the exact value back (up to 2^44).

    `fractions`: all that the select asks of the expression, this one among them, for an
    engine that puts the values in order once for all of them.
-#}
{%- macro percentile(expression, fraction, fractions=[]) -%}
    {{ return(adapter.dispatch('percentile', 'llm_almanac')(expression, fraction, fractions)) }}
{%- endmacro -%}

{%- macro default__percentile(expression, fraction, fractions=[]) -%}
    cast(
        percentile_cont({{ fraction }}) within group (order by {{ expression }}) as numeric(20, 2)
    )
{%- endmacro -%}

{#- equal aggregates of one select are one -#}
{%- macro duckdb__percentile(expression, fraction, fractions=[]) -%}
    {%- set together = fractions or [fraction] -%}
    cast(quantile_cont({{ expression }}, {{ together }})[{{ together.index(fraction) + 1 }}] as numeric(20, 2))
{%- endmacro -%}

{#- cast to numeric, a double keeps 15 digits; its text keeps all that it has -#}
{%- macro postgres__percentile(expression, fraction, fractions=[]) -%}
    cast(
        cast(percentile_cont({{ fraction }}) within group (order by {{ expression }}) as text) as numeric(20, 2)
    )
{%- endmacro -%}
