{#- Grain: one row per ledger row and rule that it breaks, with whose row it is. -#}
{{ replaced_when_walked() }}
with

breaks as (

    select * from {{ ref('int_ledger_breaks') }}
    where created_at >= (select walked_from from {{ ref('int_ledger_walk') }})

),

ledger_rows as (

    select
        transaction_id,
        organization_id,
        transaction_type,
        transaction_date

    from {{ ref('fct_credit_transactions') }}
    where created_at >= (select walked_from from {{ ref('int_ledger_walk') }})

),

final as (

    select
        breaks.transaction_id,
        breaks.break_type,
        breaks.team_id,
        ledger_rows.organization_id,
        breaks.job_id,
        ledger_rows.transaction_type,
        ledger_rows.transaction_date,
        breaks.expected,
        breaks.actual,
        breaks.difference,
        breaks.created_at

    from breaks

    inner join ledger_rows
        on breaks.transaction_id = ledger_rows.transaction_id

    -- a team that is walked whole
    left join {{ ref('int_ledger_restarts') }} as restarts
        on breaks.team_id = restarts.team_id

    where
        restarts.team_id is null
        or breaks.created_at >= restarts.restarts_at

)

select * from final
