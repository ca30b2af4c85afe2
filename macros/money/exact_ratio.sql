{#-
    numerator / denominator, exact, rounded half away from zero to `places` (at most 8);
    null when either is null, the denominator is zero, or the result does not fit into
    `digits` digits (a billionfold change says nothing, and must not stop a night).

    Through integers, because decimal division is a double on DuckDB and rounds twice on
    PostgreSQL. Both sides must be below 10^20 and have at most 8 decimals.
-#}
{%- macro exact_ratio(numerator, denominator, places, digits=28) -%}
    {{ return(adapter.dispatch('exact_ratio', 'llm_almanac')(numerator, denominator, places, digits)) }}
{%- endmacro -%}

{%- macro default__exact_ratio(numerator, denominator, places, digits) -%}
    {%- set scaled_numerator = "abs(" ~ _hundred_millionths(numerator) ~ ")" -%}
    {%- set scaled_denominator = "abs(" ~ _hundred_millionths(denominator) ~ ")" -%}
    {%- set quotient = integer_quotient(
        "2 * " ~ scaled_numerator ~ " * " ~ 10 ** places ~ " + " ~ scaled_denominator, "2 * " ~ scaled_denominator
    ) -%}
    case
        when {{ denominator }} = 0 then null
        when {{ quotient }} < cast('1{{ "0" * digits }}' as {{ type_wide_integer() }})
            then cast(
                case when ({{ numerator }} < 0) = ({{ denominator }} < 0) then 1 else -1 end
                * cast({{ quotient }} as numeric(28, 0))
                * cast({{ "%.8f" | format(10 ** -places) }} as numeric(9, 8)) as numeric({{ digits }}, {{ places }})
            )
    end
{%- endmacro -%}

{#-
    Spark's decimals have 38 digits, those of a quotient 18 of them behind the point: enough for its whole part,
    and apart from it for the remainder's part of the denominator, in units of the last place.
-#}
{%- macro spark__exact_ratio(numerator, denominator, places, digits) -%}
    {%- set scaled_numerator = "abs(" ~ _hundred_millionths(numerator) ~ ")" -%}
    {%- set scaled_denominator = "abs(" ~ _hundred_millionths(denominator) ~ ")" -%}
    {%- set remainder = "(" ~ scaled_numerator ~ " % " ~ scaled_denominator ~ ")" -%}
    case
        when {{ denominator }} = 0 then null
        else try_cast(
            case when ({{ numerator }} < 0) = ({{ denominator }} < 0) then 1 else -1 end
            * (
                cast(
                    try_divide({{ scaled_numerator }} - {{ remainder }}, {{ scaled_denominator }}) as numeric(20, 0)
                )
                + cast(
                    (2 * {{ remainder }} * {{ 10 ** places }} + {{ scaled_denominator }})
                    div (2 * {{ scaled_denominator }}) as numeric(9, 0)
                ) * cast({{ "%.8f" | format(10 ** -places) }} as numeric(9, 8))
            ) as numeric({{ digits }}, {{ places }})
        )
    end
{%- endmacro -%}

{%- macro _hundred_millionths(expression) -%}
    cast(cast({{ expression }} as numeric(28, 8)) * cast(100000000 as numeric(9, 0)) as {{ type_wide_integer() }})
{%- endmacro -%}

{#- A rate: six places, null on a zero denominator, never a percentage. -#}
{%- macro ratio(numerator, denominator) -%}
    {{ exact_ratio(numerator, denominator, 6, 18) }}
{%- endmacro -%}

{#- Money per something: eight places, null on a zero denominator. -#}
{%- macro money_ratio(numerator, denominator) -%}
    {{ exact_ratio(numerator, denominator, 8) }}
{%- endmacro -%}

{#- Milliseconds or seconds per something: three places, null on a zero denominator. -#}
{%- macro duration_ratio(numerator, denominator) -%}
    {{ exact_ratio(numerator, denominator, 3, 18) }}
{%- endmacro -%}

{#- Seconds to the microsecond from whole microseconds, exact. -#}
{%- macro exact_seconds(microseconds) -%}
    cast(cast({{ microseconds }} as numeric(20, 0)) * cast(0.000001 as numeric(7, 6)) as numeric(18, 6))
{%- endmacro -%}

{#- Milliseconds to three places from microseconds, rounded half away from zero. -#}
{%- macro milliseconds_from_microseconds(microseconds) -%}
    cast(cast({{ microseconds }} as numeric(20, 2)) * cast(0.001 as numeric(4, 3)) as numeric(18, 3))
{%- endmacro -%}

{#- Seconds to the millisecond from microseconds, rounded half away from zero. -#}
{%- macro seconds_from_microseconds(microseconds) -%}
    cast(cast({{ microseconds }} as numeric(20, 2)) * cast(0.000001 as numeric(7, 6)) as numeric(18, 3))
{%- endmacro -%}
