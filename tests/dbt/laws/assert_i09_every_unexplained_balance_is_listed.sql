-- I9: a team's balance is its first balance and every movement since, or the team is
-- listed. Returns teams whose balance is not, and that audit_balances lacks.
with

ledgers as (

    select
        team_id,
        max(case when ledger_position = 1 then credits_before end) + sum(coalesce(credits_signed, 0)) as expected

    from {{ ref('fct_credit_transactions') }}
    group by team_id

)

select
    balances.team_id,
    ledgers.expected,
    balances.credits_remaining

from {{ ref('credit_balances') }} as balances

inner join ledgers
    on balances.team_id = ledgers.team_id

left join {{ ref('audit_balances') }} as breaks
    on balances.team_id = breaks.team_id

where
    breaks.team_id is null
    and balances.credits_remaining <> ledgers.expected
