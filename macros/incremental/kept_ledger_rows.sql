{#-
    A select of the ledger rows that the night before left before the touched ones; none in
    a full build. It reads fct_credit_transactions as it is before this build replaces it,
    which no ref can say. `last_of`, a relation of teams: at least the last `last_rows` rows of each,
    and of all teams those since, so that an engine need not look at all there ever were.
-#}
{%- macro kept_ledger_rows(columns, last_of=none, last_rows=none) -%}
    {%- if is_partial() -%}
    select
        {{ columns | join(',\n        ') }}

    from {{ kept_relation('marts', 'fct_credit_transactions') }}
    where
        not {{ is_touched('created_at', 'ledger') }}
        {%- if last_of %}
        and transaction_date >= (
            select min(sighting_date)
            from (
                select
                    sighting_date,
                    -- a day with a ledger row has one at least
                    dense_rank() over (partition by team_id order by sighting_date desc) as days_back

                from ({{ kept_ledger_days() }}) as kept_days
                where team_id in (select team_id from {{ last_of }})
            ) as ledger_days
            where days_back <= {{ last_rows }}
        )
        {%- endif %}
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

{#-
    A select of each team's local days with such rows, none of which is older than `first_seen_at`; none in a full build.
    There are far fewer days than rows.
-#}
{%- macro kept_ledger_days() -%}
    {%- if is_partial() -%}
    select
        team_id,
        sighting_date,
        first_seen_at

    from {{ kept_relation('kept', 'int_sightings_by_day') }}
    where
        newest_ledger_row_at is not null
        and not {{ is_touched('sighting_date', 'ledger_day') }}
    {%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as team_id,
        cast(null as date) as sighting_date,
        cast(null as timestamp) as first_seen_at
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
