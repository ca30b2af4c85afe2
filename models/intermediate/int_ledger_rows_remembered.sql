{#-
    Grain: one row per ledger row before its team's restart that the rows after it are
    compared with: the nearest ones, and deductions for jobs that are charged again.
-#}
{{ config(materialized='table') }}
{%- set near_rows = var('fork_lookback_rows') + 1 -%}
{%- set first_near = 'restarts.first_position - ' ~ near_rows -%}
{#- back to the restart, which is not on an earlier day for rows of its instant, and before it -#}
{%- set rows_looked_at = var('fork_lookback_rows') + near_rows -%}
with

-- of a ledger that does not go on nothing is compared
walked_teams as (

    select distinct team_id
    from {{ ref('int_ledger_rows_to_walk') }}
    where movement <> 'carried'

),

kept_places as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'created_at'], 'walked_teams', rows_looked_at) }}

),

places as (

    select
        kept_places.team_id,
        kept_places.ledger_position,
        kept_places.created_at

    from kept_places

    inner join {{ ref('int_ledger_restarts') }} as restarts
        on
            kept_places.team_id = restarts.team_id
            and kept_places.ledger_position >= {{ first_near }}
            and kept_places.ledger_position < restarts.first_position

    where kept_places.team_id in (select team_id from walked_teams)

    union

    select
        team_id,
        ledger_position,
        created_at

    from {{ ref('int_ledger_charges_remembered') }}

),

first_place as (

    select min(created_at) as first_place_at
    from places

),

-- whole rows are read here only, and of the few that match
found as (

    select kept_rows.*

    from (
        {{ kept_ledger_rows([
            'transaction_id', 'team_id', 'job_id', 'movement', 'credits_signed', 'credits_before', 'credits_after',
            'previous_balance', 'ledger_position', 'created_at',
        ]) }}
    ) as kept_rows

    inner join places
        on
            kept_rows.team_id = places.team_id
            and kept_rows.ledger_position = places.ledger_position
            and kept_rows.created_at = places.created_at

    where kept_rows.created_at >= (select first_place_at from first_place)

),

final as (

    select
        found.*,
        found.ledger_position >= {{ first_near }} as is_near

    from found

    inner join {{ ref('int_ledger_restarts') }} as restarts
        on
            found.team_id = restarts.team_id
            and found.ledger_position < restarts.first_position

)

select * from final
