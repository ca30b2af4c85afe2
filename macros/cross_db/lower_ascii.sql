{#-
    A text with its letters A to Z in lower case and every other character as it is:
    beyond ASCII, what is a lower case letter depends on an engine's version and language.
-#}
{%- macro lower_ascii(expression) -%}
    {{ return(adapter.dispatch('lower_ascii', 'llm_almanac')(expression)) }}
{%- endmacro -%}

{%- macro default__lower_ascii(expression) -%}
    {{ exceptions.raise_compiler_error("lower_ascii: no implementation for " ~ target.type) }}
{%- endmacro -%}

{#- translate() alone takes 2 µs a text, lower() 0.06 µs; most texts have no more bytes than characters -#}
{%- macro duckdb__lower_ascii(expression) -%}
    case
        when strlen({{ expression }}) = length({{ expression }}) then lower({{ expression }})
        else translate({{ expression }}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')
    end
{%- endmacro -%}

{%- macro postgres__lower_ascii(expression) -%}
    lower({{ expression }} collate "C")
{%- endmacro -%}

{%- macro spark__lower_ascii(expression) -%}
    translate({{ expression }}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')
{%- endmacro -%}
