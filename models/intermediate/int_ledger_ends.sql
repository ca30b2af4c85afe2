{#-
    Grain: one row per team with a touched ledger row, its versions always naming an organization: the third from behind
    of the rows that the night before left before the touched ones, if there are three.
-#}
{{ config(materialized='ephemeral') }}
{%- set lookback = var('fork_lookback_rows') -%}
with

touched_teams as (

    {{ teams_with_touched_ledger_rows() }}

),

kept_rows as (

    {{ kept_ledger_rows(
        ['team_id', 'ledger_position', 'created_at'], last_of='touched_teams', last_rows=lookback
    ) }}

),

ranked as (

    select
        *,
        row_number() over (partition by team_id order by ledger_position desc) as rows_back

    from kept_rows
    where
        team_id in (select team_id from touched_teams)
        and team_id in (select team_id from {{ ref('int_teams_always_assigned') }})

),

final as (

    select
        team_id,
        ledger_position,
        created_at

    from ranked
    where rows_back = {{ lookback }}

)

select * from final
