{#- A select item of one row per calendar day, as dates, both ends included. -#}
{%- macro days(first_date, last_date) -%}
    {{ return(adapter.dispatch('days', 'llm_almanac')(first_date, last_date)) }}
{%- endmacro -%}

{#- of dates, PostgreSQL makes instants in the session's time zone, where a midnight may be missing -#}
{%- macro default__days(first_date, last_date) -%}
    cast(
        generate_series(cast({{ first_date }} as timestamp), cast({{ last_date }} as timestamp), interval '1 day')
        as date
    )
{%- endmacro -%}

{%- macro duckdb__days(first_date, last_date) -%}
    cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval '1 day')) as date)
{%- endmacro -%}

{#- sequence() counts down when the last comes first -#}
{%- macro spark__days(first_date, last_date) -%}
    explode(
        case
            when {{ first_date }} <= {{ last_date }}
                then sequence({{ first_date }}, {{ last_date }}, interval '1 day')
        end
    )
{%- endmacro -%}
