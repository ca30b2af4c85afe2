{#-
    How dbt creates a table on PostgreSQL. A contracted one has the contract's types, also the
    temporary one that new rows of an incremental model wait in: from the select alone numeric(28, 8)
    comes out as numeric, and dbt would take that for a change of the model's columns.
-#}
{%- macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if config.get('contract').enforced %}
    create {{ 'temporary ' if temporary }}table {{ relation }}
    {{ get_assert_columns_equivalent(sql) }}
    {{ get_table_columns_and_constraints() }};
    insert into {{ relation }} ({{ adapter.dispatch('get_column_names', 'dbt')() }})
    (
        {{ get_select_subquery(sql) }}
    );
    {%- else %}
    create {{ 'temporary ' if temporary }}table {{ relation }} as
    (
        {{ sql }}
    );
    {%- endif %}
{%- endmacro -%}
