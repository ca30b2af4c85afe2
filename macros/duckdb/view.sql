{#-
    How dbt makes a view on DuckDB: in one statement, in its place. dbt's own way makes it aside, renames two and
    drops one, for readers who are there meanwhile; the file that is built has none.
-#}
{%- materialization view, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- do drop_if_of_another_type(target_relation) -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
    {%- if config.get('contract').enforced %}
    {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    create or replace view {{ target_relation }} as (
        {{ sql }}
    )
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}
