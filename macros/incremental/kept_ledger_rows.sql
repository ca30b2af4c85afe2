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

{#- A relation of this build's database that the model may not ref, because it is built later. -#}
{%- macro kept_relation(schema, identifier) -%}
    {{ this.incorporate(path={'schema': generate_schema_name(schema, none), 'identifier': identifier}) }}
{%- endmacro -%}
