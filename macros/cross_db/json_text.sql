{#-
    A text value as a JSON string literal, quotes included. Control characters that engines
    escape each in their own letters (\u000b, \u000B) become U+FFFD.
-#}
{%- macro json_text(expression) -%}
    cast(
        to_json(
            regexp_replace({{ expression }}, '[\x01-\x07\x0b\x0e-\x1f]', '{{ "\ufffd" }}', 'g')
        ) as {{ dbt.type_string() }}
    )
{%- endmacro -%}
