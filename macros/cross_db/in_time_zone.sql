{#-
    Local wall-clock timestamp, in the reporting time zone, of a naive UTC timestamp. UTC is not asked of an engine's
    calendar, which takes as long for a row as all else that a law does with it.
-#}
{%- macro in_time_zone(utc_timestamp) -%}
    {%- if var("reporting_timezone") == 'UTC' -%}
        {{ return("(" ~ utc_timestamp ~ ")") }}
    {%- endif -%}
    {{ return(adapter.dispatch('in_time_zone', 'llm_almanac')(utc_timestamp)) }}
{%- endmacro -%}

{%- macro default__in_time_zone(utc_timestamp) -%}
    timezone('{{ var("reporting_timezone") }}', timezone('UTC', {{ utc_timestamp }}))
{%- endmacro -%}

{%- macro spark__in_time_zone(utc_timestamp) -%}
    from_utc_timestamp({{ utc_timestamp }}, '{{ var("reporting_timezone") }}')
{%- endmacro -%}
