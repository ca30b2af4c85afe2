{#-
    How dbt brings an incremental model up to date on DuckDB: what its strategy replaces is deleted and inserted anew,
    in one transaction. The new rows wait in a temporary table, because the model may read what it replaces. Types
    and columns are those of the table: a partial build goes on from a file that the same models made.
-#}
{%- materialization incremental, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- do drop_if_of_another_type(target_relation) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if is_partial() and load_cached_relation(this) -%}
        {%- set new_rows = adapter.quote(model.alias ~ '__touched') -%}
        {%- set deleted = {
            'replace_touched': deleted_when_touched,
            'replace_walked': deleted_when_walked,
            'replace_reviewed': deleted_when_reviewed,
        } -%}
        {%- call statement('main') -%}
        create or replace temporary table {{ new_rows }} as (
            {{ sql }}
        );

        {{ deleted[config.get('incremental_strategy')](target_relation) }};

        insert into {{ target_relation }} by name {{ stored_in_order('select * from ' ~ new_rows) }};

        drop table {{ new_rows }}
        {%- endcall -%}
    {%- elif is_in_portions() -%}
        {%- do make_table_in_portions(target_relation, sql) -%}
    {%- else -%}
        {%- do make_table(target_relation, sql) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{#- A new table, portion after portion; `sql` asks the session's variables which one (see is_touched). -#}
{%- macro make_table_in_portions(target_relation, sql) -%}
    {%- for portion in var('portions') -%}
        {%- set bounds -%}
            {%- for kind, first, end in portion %}
        set variable portion_{{ kind }}_first = date '{{ first }}';
        set variable portion_{{ kind }}_end = date '{{ end }}';
            {%- endfor -%}
        {%- endset -%}
        {%- call statement('portion') -%}{{ bounds }}{%- endcall -%}
        {%- if loop.first -%}
            {%- do make_table(target_relation, sql) -%}
        {%- else -%}
            {%- call statement('main') -%}
            insert into {{ target_relation }} by name {{ stored_in_order(sql) }}
            {%- endcall -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
