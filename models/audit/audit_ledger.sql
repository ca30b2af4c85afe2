{#- Grain: one row per ledger row and rule that it breaks. -#}
with

breaks as (

    select * from {{ ref('int_broken_ledger_rows') }}

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
        breaks.organization_id,
        breaks.job_id,
        breaks.transaction_type,
        breaks.transaction_date,
        breaks.expected,
        breaks.actual,
        breaks.difference,
        {{ age_in_days('breaks.created_at') }} as age_days,
        {{ money_ratio('breaks.difference', 'teams.credits_per_dollar') }} as dollars,
        breaks.created_at

    from breaks

    inner join teams
        on breaks.team_id = teams.team_id

)

select * from final
