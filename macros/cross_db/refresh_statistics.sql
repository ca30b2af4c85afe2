{#-
    A statement that lets the engine know what a new table holds. PostgreSQL plans joins of a
    table that it knows nothing of as if each met one row, and takes minutes for what takes a
    second; the other engines look by themselves.
-#}
{%- macro refresh_statistics() -%}
    {{ return(adapter.dispatch('refresh_statistics', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro default__refresh_statistics() -%}
{%- endmacro -%}

{%- macro postgres__refresh_statistics() -%}
    {%- if model.config.materialized != 'view' -%}
    analyze {{ this }}
    {%- endif -%}
{%- endmacro -%}
