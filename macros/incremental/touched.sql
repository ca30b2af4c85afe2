{#-
    What a partial build rebuilds: var `touched` (see flows/coverage.py) holds half-open
    ranges, the last one perhaps without an end, under these names:
    day, week, month: local periods; read, read_week, read_month: UTC instants of every row that those need;
    ledger: UTC instants from which the chains of ledger rows are walked again; read_…: of what else is needed.
    The audit of a partial build looks at more than was rebuilt: var `rebuilt` says that then, under the same names.
    Without the vars everything is built: on DuckDB in portions of months (var `portions`) where a model says that it
    can be, because what is grouped and sorted at a time must be held at a time.
-#}

{#- Whether only touched periods are rebuilt. -#}
{%- macro is_partial() -%}
    {{ return(var('touched', none) is not none) }}
{%- endmacro -%}

{#-
    Condition that a date (day, week, month) or a UTC timestamp (read, ledger) is touched; true in a full build.
    `ranges`: other ones than those that are touched.
-#}
{%- macro is_touched(expression, kind, ranges=none) -%}
    {%- if not is_partial() and is_in_portions() and kind in ('day', 'week', 'month') -%}
        (
            {{ expression }} >= getvariable('portion_{{ kind }}_first')
            and {{ expression }} < getvariable('portion_{{ kind }}_end')
        )
    {%- elif not is_partial() -%}
        true
    {%- else -%}
        {%- set type = 'date' if kind in ('day', 'week', 'month') else 'timestamp' -%}
        {%- set ranges = (ranges or var('touched'))[kind] -%}
        {%- if not ranges -%}
        false
        {%- else -%}
        {#- the outer bound lets an engine skip blocks without looking at the ranges -#}
        (
            {{ expression }} >= cast('{{ ranges[0][0] }}' as {{ type }})
            and (
                {%- for first, end in ranges %}
                (
                    {{ expression }} >= cast('{{ first }}' as {{ type }})
                    {%- if end %}
                    and {{ expression }} < cast('{{ end }}' as {{ type }})
                    {%- endif %}
                )
                {%- if not loop.last %} or {%- endif %}
                {%- endfor %}
            )
        )
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- The first of what is touched (see is_touched), as a value of SQL; none in a full build. -#}
{%- macro touched_from(kind) -%}
    {%- if is_partial() -%}
        {{ return("cast('" ~ var('touched')[kind][0][0] ~ "' as timestamp)") }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro -%}

{#-
    Condition that lets an engine skip most of what no touched day, week or month needs: a UTC timestamp lies in
    one, or less than 34 hours before it (two days, less the 14 hours that a zone may be ahead), or a day after.
-#}
{%- macro is_near_touched(utc_timestamp, kind) -%}
    {%- if not is_partial() -%}
        true
    {%- elif not var('touched')[kind] -%}
        false
    {%- else -%}
        (
            {%- for first, end in var('touched')[kind] %}
            (
                {{ utc_timestamp }} >= cast('{{ first }}' as timestamp) - interval '2 days'
                {%- if end %}
                and {{ utc_timestamp }} < cast('{{ end }}' as timestamp) + interval '1 day'
                {%- endif %}
            )
            {%- if not loop.last %} or {%- endif %}
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro -%}

{#-
    Makes a model incremental: touched values of `column` are replaced whole. `in_portions`: it can be built whole by
    portions, because each period (day, week, month) of it needs only the rows of that period.
-#}
{%- macro replaced_when_touched(column, kind, in_portions=false) -%}
    {{ replaced_when_one_touched({kind: column}, in_portions) }}
{%- endmacro -%}

{#- The same for a model with rows of several kinds of periods: `columns` has the column, or expression, of each. -#}
{%- macro replaced_when_one_touched(columns, in_portions=false) -%}
    {{ return(adapter.dispatch('replaced_when_one_touched', 'llm_almanac')(columns, in_portions)) }}
{%- endmacro -%}

{%- macro default__replaced_when_one_touched(columns, in_portions) -%}
    {{ config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        on_schema_change='fail',
        replaced=columns,
        in_portions=in_portions,
    ) }}
{%- endmacro -%}

{#- Condition that one of some columns, given by the kind of their periods, is touched; true in a full build. -#}
{%- macro is_one_touched(columns, ranges=none) -%}
    (
        {%- for kind, column in columns.items() %}
        {{ is_touched(column, kind, ranges) }}
        {%- if not loop.last %} or {%- endif %}
        {%- endfor %}
    )
{%- endmacro -%}

{#- Whether the model at hand is built whole in portions of its periods. -#}
{%- macro is_in_portions() -%}
    {{ return(target.type == 'duckdb' and var('portions', []) | length > 1 and config.get('in_portions', false)) }}
{%- endmacro -%}

{%- macro spark__replaced_when_one_touched(columns, in_portions) -%}
    {{ _rebuilt_whole() }}
{%- endmacro -%}

{#- Parquet tables have no delete. -#}
{%- macro _rebuilt_whole() -%}
    {%- if is_partial() -%}
        {{ exceptions.raise_compiler_error("Spark builds whole tables only: run without the variable `touched`.") }}
    {%- endif -%}
    {{ config(materialized='table') }}
{%- endmacro -%}

{#- The incremental strategy of that name: delete what is touched, insert it anew, in one transaction. -#}
{%- macro get_incremental_replace_touched_sql(arg_dict) -%}
    {{ deleted_when_touched(arg_dict['target_relation']) }};

    {{ inserted_anew(arg_dict) }}
{%- endmacro -%}

{%- macro deleted_when_touched(target_relation) -%}
    {#- while dbt parses, there is no configuration yet -#}
    {%- set replaced = config.get('replaced') or {} %}
    delete from {{ target_relation }}
    where {{ is_one_touched(replaced) }}
{%- endmacro -%}

{#- Makes a ledger model incremental: of every team, the rows that are walked again are replaced. -#}
{%- macro replaced_when_walked() -%}
    {{ return(adapter.dispatch('replaced_when_walked', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro spark__replaced_when_walked() -%}
    {{ _rebuilt_whole() }}
{%- endmacro -%}

{%- macro default__replaced_when_walked() -%}
    {{ config(materialized='incremental', incremental_strategy='replace_walked', on_schema_change='fail') }}
{%- endmacro -%}

{#- The incremental strategy of that name: delete each team's rows from its restart on, insert them anew. -#}
{%- macro get_incremental_replace_walked_sql(arg_dict) -%}
    {{ deleted_when_walked(arg_dict['target_relation']) }};

    {{ inserted_anew(arg_dict) }}
{%- endmacro -%}

{%- macro deleted_when_walked(target_relation) -%}
    delete from {{ target_relation }}
    where
        created_at >= (select walked_from from {{ kept_relation('intermediate', 'int_ledger_walk') }})
        and not exists (
            select 1
            from {{ kept_relation('intermediate', 'int_ledger_restarts') }} as restarts
            where
                restarts.team_id = {{ target_relation }}.team_id
                and restarts.restarts_at > {{ target_relation }}.created_at
        )
{%- endmacro -%}

{%- macro inserted_anew(arg_dict) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro -%}
