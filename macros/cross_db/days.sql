{#- A select of one row per calendar day, column calendar_date, both ends included. -#}
{%- macro days(first_date, last_date) -%}
    {{ return(adapter.dispatch('days', 'llm_almanac')(first_date, last_date)) }}
{%- endmacro -%}

{#- of dates, PostgreSQL makes instants in the session's time zone, where a midnight may be missing -#}
{%- macro default__days(first_date, last_date) -%}
    generate_series(cast({{ first_date }} as timestamp), cast({{ last_date }} as timestamp), interval '1 day')
{%- endmacro -%}

{%- macro duckdb__days(first_date, last_date) -%}
    unnest(generate_series({{ first_date }}, {{ last_date }}, interval '1 day'))
{%- endmacro -%}

{%- macro spark__days(first_date, last_date) -%}
    explode(sequence({{ first_date }}, {{ last_date }}, interval '1 day'))
{%- endmacro -%}
