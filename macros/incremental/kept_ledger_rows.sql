{#-
    A select of the ledger rows that the night before left before the touched ones; none in
    a full build. It reads fct_credit_transactions as it is before this build replaces it,
    which no ref can say.
-#}
{%- macro kept_ledger_rows(columns) -%}
    {%- if is_partial() -%}
    select
        {{ columns | join(',\n        ') }}

    from {{ kept_relation('marts', 'fct_credit_transactions') }}
    where not {{ is_touched('created_at', 'ledger') }}
    {%- else -%}
    select
        {%- for column in columns %}
        {%- set type = {
            'ledger_position': 'bigint', 'credits_signed': 'bigint', 'credits_before': 'bigint',
            'credits_after': 'bigint', 'previous_balance': 'bigint', 'created_at': 'timestamp',
        }.get(column, dbt.type_string()) %}
        cast(null as {{ type }}) as {{ column }}
        {{- "," if not loop.last }}
        {%- endfor %}
    where 1 = 0
    {%- endif -%}
{%- endmacro -%}

{#- A select of the teams with a touched ledger row, as it was in the night before or is now. -#}
{%- macro teams_with_touched_ledger_rows() -%}
    select team_id
    from {{ ref('int_ledger_rows_normalised') }}
    where {{ is_touched('created_at', 'ledger') }}
    {%- if is_partial() %}
    union
    select team_id
    from {{ kept_relation('marts', 'fct_credit_transactions') }}
    where {{ is_touched('created_at', 'ledger') }}
    {%- endif %}
{%- endmacro -%}

{#- A select of the days of jobs, each with a day on which a call or ledger row of its jobs lies; none in a full build. -#}
{%- macro related_days() -%}
    {%- if is_partial() -%}
    select
        day,
        related_day

    from {{ api.Relation.create(
        database=var('landing_database') or none, schema='raw', identifier='related_days'
    ) }}
    {%- else -%}
    select
        cast(null as date) as day,
        cast(null as date) as related_day
    where 1 = 0
    {%- endif -%}
{%- endmacro -%}

{#- A relation of this build's database that the model may not ref, because it is built later. -#}
{%- macro kept_relation(schema, identifier) -%}
    {{ this.incorporate(path={'schema': generate_schema_name(schema, none), 'identifier': identifier}) }}
{%- endmacro -%}
