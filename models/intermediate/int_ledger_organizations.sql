{#-
    Grain: one row per ledger row that names another organization than the team's row
    before it, with the half-open time in which it is the team's latest; a team's first one
    holds since ever. Only of teams whose own versions do not always say it.
-#}
with

named as (

    select
        team_id,
        organization_id,
        lag(organization_id) over (partition by team_id order by ledger_position) as previous_organization_id,
        ledger_position,
        created_at

    from {{ ref('int_ledger_rows_chained') }}
    where
        organization_id is not null
        and team_id not in (select team_id from {{ ref('int_teams_always_assigned') }})

),

final as (

    select
        team_id,
        organization_id,
        case
            when previous_organization_id is null then cast('0001-01-01' as timestamp)
            else created_at
        end as valid_from,
        lead(created_at) over (partition by team_id order by ledger_position) as valid_to

    from named
    where previous_organization_id is distinct from organization_id

)

select * from final
