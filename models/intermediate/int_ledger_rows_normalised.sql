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
        when not {{ fits_source_integer('credits_amount') }} then null
        when transaction_type = 'deduction' then -abs(credits_amount)
        when transaction_type in ('refund', 'subscription_payment', 'one_time_payment') then abs(credits_amount)
        when transaction_type in ('allocation', 'adjustment') then credits_amount
    end as credits_signed,
    credits_amount,
    -- a row with an impossible balance states none
    case
        when {{ fits_source_integer('credits_before') }} and {{ fits_source_integer('credits_after') }}
            then credits_before
    end as credits_before,
    case
        when {{ fits_source_integer('credits_before') }} and {{ fits_source_integer('credits_after') }}
            then credits_after
    end as credits_after,
    reason,
    created_at

from {{ ref('stg_saas__credit_transactions') }}
where {{ exists_at_as_of('created_at') }}
