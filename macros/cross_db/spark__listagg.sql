{#- dbt.listagg on Spark with an order, which dbt-spark's own refuses. Without a limit of parts. -#}
{%- macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
    {%- if limit_num -%}
        {{ exceptions.raise_compiler_error("spark__listagg: no limit of parts") }}
    {%- endif -%}
    listagg({{ measure }}, {{ delimiter_text }}) within group ({{ order_by_clause }})
{%- endmacro -%}
