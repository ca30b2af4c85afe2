{#-
    Grain: one row per team whose ledger is not walked from its beginning, with the instant
    from which it is walked again and what the rows before that leave behind.

    It begins with the third row before the touched ones: how a broken link is read depends
    on that many rows ahead. Of a team without touched rows nothing is walked. A team without an
    organization is walked whole, because its ledger rows say to whom its jobs belong.
-#}
{{ config(materialized='table') }}
with

kept_rows as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'credits_after', 'created_at']) }}

),

touched_teams as (

    {{ teams_with_touched_ledger_rows() }}

),

last_rows as (

    select
        team_id,
        max(ledger_position) as ledger_position

    from kept_rows
    where team_id in (select team_id from {{ ref('int_teams_always_assigned') }})
    group by team_id

),

instants as (

    select
        last_rows.team_id,
        kept_rows.created_at as restarts_at

    from last_rows

    inner join kept_rows
        on
            last_rows.team_id = kept_rows.team_id
            and last_rows.ledger_position - {{ var('fork_lookback_rows') - 1 }} = kept_rows.ledger_position

    where last_rows.team_id in (select team_id from touched_teams)

),

starts as (

    select
        team_id,
        {{ touched_from('ledger') or "cast(null as timestamp)" }} as restarts_at,
        ledger_position + 1 as first_position

    from last_rows
    where team_id not in (select team_id from touched_teams)

    union all

    -- rows of one instant are walked together
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
        starts.team_id,
        starts.restarts_at,
        starts.first_position,
        kept_rows.credits_after as carried_balance

    from starts

    inner join kept_rows
        on
            starts.team_id = kept_rows.team_id
            and starts.first_position = kept_rows.ledger_position + 1

)

select * from final
