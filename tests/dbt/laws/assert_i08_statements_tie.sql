-- I8: a statement opens where the one before closed, ties to its movements, and the last
-- one closes at the ledger's balance. Returns statements that do not.
{% for suffix in ['daily', 'weekly', 'monthly'] -%}
select
    statements.team_id,
    statements.period_start_date,
    statements.opening_balance,
    statements.closing_balance,
    statements.closing_before,
    balances.ledger_balance

from (
    select
        *,
        lag(closing_balance) over (partition by team_id order by period_start_date) as closing_before,
        lead(closing_balance) over (partition by team_id order by period_start_date) as closing_after

    from {{ ref('credit_usage_' ~ suffix) }}
) as statements

left join {{ ref('credit_balances') }} as balances
    on statements.team_id = balances.team_id

where
    statements.opening_balance <> statements.closing_before
    or statements.closing_balance <> (
        statements.opening_balance
        + statements.credits_allocated
        + statements.credits_purchased
        + statements.credits_adjusted
        - statements.credits_used
        + statements.unexplained_credits
    )
    or (statements.closing_after is null and statements.closing_balance <> balances.ledger_balance)
{% if not loop.last %}union all{% endif %}
{% endfor %}
