{#-
    Grain: one row per team whose ledger is not walked from its beginning, with the instant
    from which it is walked again and what the rows before that leave behind.

    It begins with the third row before the touched ones: how a broken link is read depends
    on that many rows ahead. Of a team without touched rows nothing is walked, and nothing said of what it
    leaves behind. A team without an organization is walked whole, because its ledger rows say to whom its
    jobs belong.
-#}
{{ config(materialized='table') }}
with

going_on as (

    select
        team_id,
        created_at

    from {{ ref('int_ledger_ends') }}

),

touched_teams as (

    {{ teams_with_touched_ledger_rows() }}

),

first_of_all as (

    select min(created_at) as first_created_at
    from going_on

),

kept_rows as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'previous_balance', 'created_at']) }}

),

-- rows of one instant are walked together
tied as (

    select
        kept_rows.*,
        row_number() over (partition by kept_rows.team_id order by kept_rows.ledger_position) as place

    from going_on

    inner join kept_rows
        on
            going_on.team_id = kept_rows.team_id
            and going_on.created_at = kept_rows.created_at

    where kept_rows.created_at >= (select first_created_at from first_of_all)

),

final as (

    select
        team_id,
        {{ touched_from('ledger') or "cast(null as timestamp)" }} as restarts_at,
        cast(null as bigint) as first_position,
        cast(null as bigint) as carried_balance

    from {{ ref('int_teams_always_assigned') }}
    where
        {{ 'true' if is_partial() else 'false' }}
        and team_id not in (select team_id from touched_teams)

    union all

    select
        team_id,
        created_at as restarts_at,
        ledger_position as first_position,
        previous_balance as carried_balance

    from tied
    where
        place = 1
        and ledger_position > 1

)

select * from final
