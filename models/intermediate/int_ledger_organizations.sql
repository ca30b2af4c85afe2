{#-
    Grain: one row per ledger row that names an organization, with the half-open time in
    which it is the team's latest; a team's first one holds since ever.
-#}
select
    team_id,
    organization_id,
    case
        when row_number() over (partition by team_id order by ledger_position) = 1
            then cast('0001-01-01' as timestamp)
        else created_at
    end as valid_from,
    lead(created_at) over (partition by team_id order by ledger_position) as valid_to

from {{ ref('int_ledger_rows_chained') }}
where organization_id is not null
