{#- Part of a date in the ISO calendar, as an integer: isodow (Monday is 1) or isoyear. -#}
{%- macro iso_part(part, calendar_date) -%}
    {{ return(adapter.dispatch('iso_part', 'llm_almanac')(part, calendar_date)) }}
{%- endmacro -%}

{%- macro default__iso_part(part, calendar_date) -%}
    cast(extract({{ part }} from {{ calendar_date }}) as integer)
{%- endmacro -%}

{%- macro spark__iso_part(part, calendar_date) -%}
    extract({{ {'isodow': 'dayofweek_iso', 'isoyear': 'yearofweek'}[part] }} from {{ calendar_date }})
{%- endmacro -%}
