{#- Grain: one row per team whose balance the ledger does not explain. -#}
with

-- a ledger's days instead of its rows, which are far more; law I9 compares the two
ledgers as (

    select
        team_id,
        min(period_start_date) as first_date,
        cast(
            sum(credits_allocated + credits_purchased + credits_adjusted - credits_used) as bigint
        ) as credits_moved

    from {{ ref('credit_usage_daily') }}
    group by team_id

),

newest_rows as (

    select
        team_id,
        max(newest_ledger_row_at) as newest_row_at

    from {{ ref('int_sightings_by_day') }}
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
        first_days.opening_balance + ledgers.credits_moved as expected,
        balances.credits_remaining as actual,
        balances.ledger_balance,
        coalesce(breaks.credits_lost_to_forks, 0) as credits_lost_to_forks,
        newest_rows.newest_row_at,
        teams.credits_per_dollar

    from {{ ref('credit_balances') }} as balances

    inner join ledgers
        on balances.team_id = ledgers.team_id

    inner join {{ ref('credit_usage_daily') }} as first_days
        on
            ledgers.team_id = first_days.team_id
            and ledgers.first_date = first_days.period_start_date

    inner join newest_rows
        on ledgers.team_id = newest_rows.team_id

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
