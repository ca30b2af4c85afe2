{#- Grain: one row per team whose balance the ledger does not explain. -#}
with

balances as (

    select
        team_id,
        organization_id,
        credits_remaining,
        ledger_balance

    from {{ ref('credit_balances') }}

),

ledgers as (

    select
        team_id,
        max(case when ledger_position = 1 then credits_before end) as first_balance,
        cast(sum(coalesce(credits_signed, 0)) as bigint) as credits_moved,
        max(created_at) as newest_row_at

    from {{ ref('fct_credit_transactions') }}
    group by team_id

),

breaks as (

    select
        team_id,
        cast(sum(case when break_type = 'fork' then difference else 0 end) as bigint) as credits_lost_to_forks

    from {{ ref('int_ledger_breaks') }}
    group by team_id

),

compared as (

    select
        balances.team_id,
        balances.organization_id,
        ledgers.first_balance + ledgers.credits_moved as expected,
        balances.credits_remaining as actual,
        balances.ledger_balance,
        coalesce(breaks.credits_lost_to_forks, 0) as credits_lost_to_forks,
        ledgers.newest_row_at,
        teams.credits_per_dollar

    from balances

    inner join ledgers
        on balances.team_id = ledgers.team_id

    inner join {{ ref('dim_teams') }} as teams
        on balances.team_id = teams.team_id

    -- a team whose chain is whole
    left join breaks
        on balances.team_id = breaks.team_id

),

final as (

    select
        team_id,
        organization_id,
        case
            when actual <> ledger_balance then 'changed_without_row'
            when actual - expected = credits_lost_to_forks then 'lost_updates'
            else 'unexplained_movement'
        end as break_type,
        expected,
        actual,
        actual - expected as difference,
        {{ age_in_days('newest_row_at') }} as age_days,
        {{ money_ratio('actual - expected', 'credits_per_dollar') }} as dollars,
        ledger_balance,
        credits_lost_to_forks

    from compared
    where
        actual <> expected
        or actual <> ledger_balance

)

select * from final
