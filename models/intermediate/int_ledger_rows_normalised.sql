{#- Grain: one row per ledger row created before as_of, its credits signed by its type. -#}
select
    transaction_id,
    team_id,
    organization_id,
    job_id,
    transaction_type,
    case
        when transaction_type in ('subscription_payment', 'one_time_payment') then 'payment'
        when transaction_type in ('deduction', 'refund', 'allocation', 'adjustment') then transaction_type
        else 'unknown'
    end as movement,
    case
        when transaction_type = 'deduction' then -abs(credits_amount)
        when transaction_type in ('refund', 'subscription_payment', 'one_time_payment') then abs(credits_amount)
        when transaction_type in ('allocation', 'adjustment') then credits_amount
    end as credits_signed,
    credits_amount,
    credits_before,
    credits_after,
    reason,
    created_at

from {{ ref('stg_saas__credit_transactions') }}
where created_at < {{ as_of() }}
