{#-
    Grain: one row per team with ledger rows that the night before left before the touched ones, its versions always
    naming an organization: its last such row; of a ledger that goes on the third from behind, if there are three.
-#}
{{ config(materialized='ephemeral') }}
with

touched_teams as (

    {{ teams_with_touched_ledger_rows() }}

),

kept_places as (

    {{ kept_ledger_rows(['team_id', 'ledger_position']) }}

),

last_places as (

    select
        team_id,
        max(ledger_position) as ledger_position

    from kept_places
    where team_id in (select team_id from {{ ref('int_teams_always_assigned') }})
    group by team_id

),

-- read once more, not kept: there may be many
kept_rows as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'credits_after', 'created_at']) }}

),

final as (

    select
        kept_rows.*,
        touched_teams.team_id is not null as goes_on

    from last_places

    left join touched_teams
        on last_places.team_id = touched_teams.team_id

    inner join kept_rows
        on
            last_places.team_id = kept_rows.team_id
            and last_places.ledger_position = kept_rows.ledger_position
            + case when touched_teams.team_id is null then 0 else {{ var('fork_lookback_rows') - 1 }} end

)

select * from final
