-- I9: a team's balance is its first balance and every movement since, or the team is listed. Movements are added up
-- by day, as statements have them, and those of touched days are the rows' own. Returns teams whose balance is not,
-- and that audit_balances lacks; and touched days whose rows say something else.
with

days as (

    select
        team_id,
        period_start_date,
        opening_balance,
        credits_allocated + credits_purchased + credits_adjusted - credits_used as credits_moved,
        row_number() over (partition by team_id order by period_start_date) as place

    from {{ ref('credit_usage_daily') }}

),

ledgers as (

    select
        team_id,
        max(case when place = 1 then opening_balance end) + sum(credits_moved) as expected

    from days
    group by team_id

),

row_days as (

    select
        team_id,
        transaction_date,
        sum(coalesce(credits_signed, 0)) as credits_moved,
        max(case when ledger_position = 1 then credits_before end) as first_balance

    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('transaction_date', 'ledger_day') }}
    group by team_id, transaction_date

),

touched_days as (

    select * from days
    where {{ is_touched('period_start_date', 'ledger_day') }}

)

select
    balances.team_id,
    cast(null as date) as ledger_date,
    ledgers.expected,
    balances.credits_remaining as found

from {{ ref('credit_balances') }} as balances

inner join ledgers
    on balances.team_id = ledgers.team_id

left join {{ ref('audit_balances') }} as breaks
    on balances.team_id = breaks.team_id

where
    breaks.team_id is null
    and balances.credits_remaining <> ledgers.expected

union all

select
    coalesce(touched_days.team_id, row_days.team_id) as team_id,
    coalesce(touched_days.period_start_date, row_days.transaction_date) as ledger_date,
    row_days.credits_moved as expected,
    touched_days.credits_moved as found

from touched_days

full outer join row_days
    on
        touched_days.team_id = row_days.team_id
        and touched_days.period_start_date = row_days.transaction_date

where
    coalesce(touched_days.credits_moved <> row_days.credits_moved, true)
    or (touched_days.place = 1 and touched_days.opening_balance <> row_days.first_balance)
