{#-
    Grain: one row per ledger row that names an organization, with the half-open time in
    which it is the team's latest; a team's first one holds since ever.
-#}
with

ledger_rows as (

    select
        team_id,
        organization_id,
        ledger_position,
        created_at

    from {{ ref('int_ledger_rows_chained') }}
    where organization_id is not null

),

ordered as (

    select
        team_id,
        organization_id,
        created_at,
        row_number() over (partition by team_id order by ledger_position) as row_position,
        lead(created_at) over (partition by team_id order by ledger_position) as valid_to

    from ledger_rows

),

final as (

    select
        team_id,
        organization_id,
        case when row_position = 1 then cast('0001-01-01' as timestamp) else created_at end as valid_from,
        valid_to

    from ordered

)

select * from final
