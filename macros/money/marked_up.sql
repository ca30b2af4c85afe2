{#-
    Client cost of a provider cost: + markup percent, rounded half away from zero to 8 places.

    Through integers (hundred-millionths of a dollar and of a percent): DuckDB 2.0 overflows
    on the product of two decimals of 14 and 13 digits. Neither side is negative.
-#}
{%- macro marked_up(provider_cost_usd, markup_percentage) -%}
    cast(
        cast(
            {{ integer_quotient(
                _hundred_millionths(provider_cost_usd) ~ " * " ~ _hundred_millionths("100 + " ~ markup_percentage)
                ~ " + 5000000000",
                "10000000000"
            ) }} as numeric(28, 0)
        ) * cast(0.00000001 as numeric(9, 8)) as numeric(28, 8)
    )
{%- endmacro -%}
