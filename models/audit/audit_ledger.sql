{#- Grain: one row per ledger row and rule that it breaks. -#}
with

breaks as (

    select * from {{ ref('int_ledger_breaks') }}

),

ledger_rows as (

    select
        transaction_id,
        organization_id,
        transaction_type,
        transaction_date

    from {{ ref('fct_credit_transactions') }}

),

teams as (

    select
        team_id,
        credits_per_dollar

    from {{ ref('dim_teams') }}

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
        {{ age_in_days('breaks.created_at') }} as age_days,
        {{ money_ratio('breaks.difference', 'teams.credits_per_dollar') }} as dollars,
        breaks.created_at

    from breaks

    inner join ledger_rows
        on breaks.transaction_id = ledger_rows.transaction_id

    inner join teams
        on breaks.team_id = teams.team_id

)

select * from final
