{#-
    How dbt fills a seed on Spark. dbt-spark's own writes an empty cell of a session as the text None,
    and a quote in a text as it is.
-#}
{%- macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set sql -%}
    insert into {{ this }} values
        {%- for row in agate_table.rows %}
        (
            {%- for name in agate_table.column_names -%}
            {%- set type = types.get(name, adapter.convert_type(agate_table, loop.index0)) -%}
            {%- set text = row[name] | string | replace('\\', '\\\\') | replace("'", "\\'") -%}
            cast({{ 'null' if row[name] is none else "'" ~ text ~ "'" }} as {{ type }})
            {{- ", " if not loop.last }}
            {%- endfor -%}
        )
        {{- "," if not loop.last }}
        {%- endfor %}
    {%- endset -%}
    {%- if agate_table.rows -%}
        {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {%- endif -%}
    {{ return(sql) }}
{%- endmacro -%}
