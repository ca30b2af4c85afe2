{#- Naive UTC timestamp of a local wall-clock timestamp in the reporting time zone. -#}
{%- macro from_time_zone(local_timestamp) -%}
    {{ return(adapter.dispatch('from_time_zone', 'llm_almanac')(local_timestamp)) }}
{%- endmacro -%}

{%- macro default__from_time_zone(local_timestamp) -%}
    timezone('UTC', timezone('{{ var("reporting_timezone") }}', {{ local_timestamp }}))
{%- endmacro -%}

{%- macro spark__from_time_zone(local_timestamp) -%}
    to_utc_timestamp({{ local_timestamp }}, '{{ var("reporting_timezone") }}')
{%- endmacro -%}
