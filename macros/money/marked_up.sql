{#-
    Client cost of a provider cost: + markup percent, rounded half away from zero to 8 places.

    Through integers (hundred-millionths of a dollar and of a percent): DuckDB 2.0 overflows
    on the product of two decimals of 14 and 13 digits. Neither side is negative.
-#}
{%- macro marked_up(provider_cost_usd, markup_percentage) -%}
    {{ return(adapter.dispatch('marked_up', 'llm_almanac')(provider_cost_usd, markup_percentage)) }}
{%- endmacro -%}

{%- macro default__marked_up(provider_cost_usd, markup_percentage) -%}
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

{#- exact: the product has 16 decimals, a hundredth of it 18; the cast rounds half away from zero -#}
{%- macro spark__marked_up(provider_cost_usd, markup_percentage) -%}
    cast(
        cast({{ provider_cost_usd }} as numeric(28, 8)) * cast(100 + {{ markup_percentage }} as numeric(20, 8))
        * cast(0.01 as numeric(2, 2)) as numeric(28, 8)
    )
{%- endmacro -%}
