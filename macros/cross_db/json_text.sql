{#-
    A text value as a JSON string literal, quotes included. Control characters that engines
    escape each in their own letters (\u000b, \u000B) become U+FFFD.
-#}
{%- macro json_text(expression) -%}
    {{ return(adapter.dispatch('json_text', 'llm_almanac')(expression)) }}
{%- endmacro -%}

{%- macro default__json_text(expression) -%}
    cast(
        to_json(
            regexp_replace({{ expression }}, '[\x01-\x07\x0b\x0e-\x1f]', '{{ "\ufffd" }}', 'g')
        ) as {{ dbt.type_string() }}
    )
{%- endmacro -%}

{#- Spark's to_json() takes no text: the text of a list of one, without the list's brackets -#}
{%- macro spark__json_text(expression) -%}
    regexp_extract(
        to_json(array(regexp_replace({{ expression }}, r'[\x01-\x07\x0b\x0e-\x1f]', '{{ "\ufffd" }}'))),
        r'(?s)^\[(.*)\]$',
        1
    )
{%- endmacro -%}
