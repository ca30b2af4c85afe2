{#-
    How dbt makes a table on DuckDB: in its place, because the file that is built has no readers. A partial build goes
    on from a file that the same models made, so it fills the table that is there, which has its types,
    constraints and comments already.
-#}
{%- materialization table, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- do drop_if_of_another_type(target_relation) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if is_partial() and load_cached_relation(this) -%}
        {%- call statement('main') -%}
        delete from {{ target_relation }};
        insert into {{ target_relation }} by name (
            {{ sql }}
        )
        {%- endcall -%}
    {%- else -%}
        {%- do make_table(target_relation, sql) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{#-
    A new table in the contract's types, with its comments. Rows that lie in the order in which they are asked for
    (`stored_by`) let an engine skip most blocks.
-#}
{%- macro make_table(target_relation, sql) -%}
    {%- do adapter.drop_relation(target_relation) -%}
    {%- call statement('main') -%}
    {{ create_table_as(False, target_relation, stored_in_order(sql)) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
{%- endmacro -%}

{#- Drop what has the name of the relation and is a view where that is a table, or a table where it is a view. -#}
{%- macro drop_if_of_another_type(target_relation) -%}
    {%- set existing_relation = load_cached_relation(target_relation) -%}
    {%- if existing_relation and existing_relation.type != target_relation.type -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
{%- endmacro -%}

{#- The rows of a query in the order in which the model's are stored, if it says one. -#}
{%- macro stored_in_order(sql) -%}
    {%- set stored_by = config.get('stored_by') -%}
    {%- if stored_by -%}
    select * from (
        {{ sql }}
    ) as stored_rows
    order by {{ stored_by }}
    {%- else -%}
    {{ sql }}
    {%- endif -%}
{%- endmacro -%}
