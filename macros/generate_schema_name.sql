{#-
    A model's schema is the name that people query; on PostgreSQL with the generation's prefix,
    behind stable views of that name (see flows/publish_postgres.py).
-#}
{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('schema_prefix', '') }}{{ custom_schema_name or target.schema }}
{%- endmacro -%}
