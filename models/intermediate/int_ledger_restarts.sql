{#-
    Grain: one row per team whose ledger is not walked from its beginning, with the instant
    from which it is walked again and what the rows before that leave behind.

    It begins with the third row before the touched ones: how a broken link is read depends
    on that many rows ahead. A team without an organization is walked whole, because its
    ledger rows say to whom its jobs belong.
-#}
{{ config(materialized='table') }}
with

kept_rows as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'credits_after', 'created_at']) }}

),

restarts as (

    select
        team_id,
        max(ledger_position) - {{ var('fork_lookback_rows') - 1 }} as ledger_position

    from kept_rows
    where team_id in (select team_id from {{ ref('int_teams_always_assigned') }})
    group by team_id

),

instants as (

    select
        restarts.team_id,
        kept_rows.created_at as restarts_at

    from restarts

    inner join kept_rows
        on
            restarts.team_id = kept_rows.team_id
            and restarts.ledger_position = kept_rows.ledger_position

),

-- rows of one instant are walked together
first_rows as (

    select
        instants.team_id,
        instants.restarts_at,
        min(kept_rows.ledger_position) as first_position

    from instants

    inner join kept_rows
        on
            instants.team_id = kept_rows.team_id
            and instants.restarts_at = kept_rows.created_at

    group by instants.team_id, instants.restarts_at

),

final as (

    select
        first_rows.team_id,
        first_rows.restarts_at,
        first_rows.first_position,
        kept_rows.credits_after as carried_balance

    from first_rows

    inner join kept_rows
        on
            first_rows.team_id = kept_rows.team_id
            and first_rows.first_position = kept_rows.ledger_position + 1

)

select * from final
