{#- Functions that the spec page's queries call and the engine lacks, in schema compat. -#}
{%- macro create_compat_functions() -%}
    {{ return(adapter.dispatch('create_compat_functions', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro default__create_compat_functions() -%}
{%- endmacro -%}

{#- to_char() with the date patterns YYYY, MM and DD, the only ones the page uses. -#}
{%- macro duckdb__create_compat_functions() -%}
    create schema if not exists compat;
    create or replace macro compat.to_char(instant, pattern) as replace(
        replace(
            replace(pattern, 'YYYY', strftime(cast(instant as timestamp), '%Y')),
            'MM', strftime(cast(instant as timestamp), '%m')
        ),
        'DD', strftime(cast(instant as timestamp), '%d')
    )
{%- endmacro -%}
