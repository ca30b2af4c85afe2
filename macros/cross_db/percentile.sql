{#-
    Continuous percentile of an integer expression, as numeric(20, 2); nulls are left out.

    With a fraction of two decimals the interpolated value has at most two decimals, so
    rounding the engine's double to two places gives the exact value back (up to 2^44).
-#}
{%- macro percentile(expression, fraction) -%}
    cast(
        percentile_cont({{ fraction }}) within group (order by {{ expression }}) as numeric(20, 2)
    )
{%- endmacro -%}
