{#-
    The columns of a contracted table on PostgreSQL: text is bytewise (collate "C") whatever
    the database's language, so that every order, tie and smallest text is the one that
    DuckDB finds. dbt calls this for every table it creates.
-#}
{%- macro postgres__get_table_columns_and_constraints() -%}
    {%- set columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
    {%- set constraints = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
    (
    {% for column in columns -%}
        {{ modules.re.sub('(?i)^(\\S+ (?:text|string|varchar))\\b', '\\1 collate "C"', column) }}
        {{- "," if not loop.last or constraints }}
    {% endfor -%}
    {% for constraint in constraints -%}
        {{ constraint }}{{ "," if not loop.last }}
    {% endfor -%}
    )
{%- endmacro -%}
