{#-
    A text expression that is ordered and compared byte by byte, as DuckDB does.

    On PostgreSQL the columns of raw, seeds and marts are so already (see
    text_is_bytewise.sql), and what is computed from them is; a literal is not.
-#}
{%- macro bytewise(expression) -%}
    {{ return(adapter.dispatch('bytewise', 'llm_almanac')(expression)) }}
{%- endmacro -%}

{%- macro default__bytewise(expression) -%} {{ expression }} {%- endmacro -%}

{%- macro postgres__bytewise(expression) -%} (({{ expression }}) collate "C") {%- endmacro -%}
