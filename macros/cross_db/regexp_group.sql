{#- First capture group of the first match of a regular expression; null without a match. -#}
{%- macro regexp_group(expression, pattern) -%}
    {{ return(adapter.dispatch('regexp_group', 'llm_almanac')(expression, pattern)) }}
{%- endmacro -%}

{%- macro default__regexp_group(expression, pattern) -%}
    nullif(regexp_extract({{ expression }}, '{{ pattern }}', 1), '')
{%- endmacro -%}

{#- a raw literal: in Spark's others a backslash escapes -#}
{%- macro spark__regexp_group(expression, pattern) -%}
    nullif(regexp_extract({{ expression }}, r'{{ pattern }}', 1), '')
{%- endmacro -%}

{%- macro postgres__regexp_group(expression, pattern) -%}
    substring({{ expression }} from '{{ pattern }}')
{%- endmacro -%}
