{#- Grain: one row per ledger row created before as_of. -#}
{{ replaced_when_walked() }}
{{ config(stored_by='created_at') }}
with

ledger_rows as (

    select * from {{ ref('int_ledger_rows_chained') }}

),

jobs as (

    select
        job_id,
        job_type

    from {{ ref('fct_jobs') }}
    where created_at >= (select jobs_from from {{ ref('int_ledger_walk') }})

),

first_breaks as (

    select
        transaction_id,
        break_type

    from {{ ref('int_ledger_breaks') }}
    where break_rank = 1

),

final as (

    select
        ledger_rows.transaction_id,
        ledger_rows.team_id,
        coalesce(
            ledger_rows.organization_id,
            team_versions.organization_id,
            ledger_organizations.organization_id,
            'unassigned'
        ) as organization_id,
        ledger_rows.job_id,
        coalesce(jobs.job_type, 'unassigned') as job_type,
        ledger_rows.transaction_type,
        ledger_rows.movement,
        ledger_rows.credits_signed,
        ledger_rows.credits_before,
        ledger_rows.credits_after,
        ledger_rows.previous_balance,
        case
            when ledger_rows.movement = 'payment' then {{ dollars_in_reason('ledger_rows.reason') }}
        end as payment_usd,
        ledger_rows.reason,
        ledger_rows.ledger_position,
        coalesce(first_breaks.break_type, 'ok') as ledger_status,
        {{ local_date('ledger_rows.created_at') }} as transaction_date,
        ledger_rows.created_at

    from ledger_rows

    -- credits that no job moved
    left join jobs
        on ledger_rows.job_id = jobs.job_id

    left join {{ ref('int_team_versions') }} as team_versions
        on
            ledger_rows.team_id = team_versions.team_id
            and ledger_rows.created_at >= team_versions.valid_from
            and (ledger_rows.created_at < team_versions.valid_to or team_versions.valid_to is null)

    left join {{ ref('int_ledger_organizations') }} as ledger_organizations
        on
            ledger_rows.team_id = ledger_organizations.team_id
            and ledger_rows.created_at >= ledger_organizations.valid_from
            and (ledger_rows.created_at < ledger_organizations.valid_to or ledger_organizations.valid_to is null)

    left join first_breaks
        on ledger_rows.transaction_id = first_breaks.transaction_id

)

select * from final
