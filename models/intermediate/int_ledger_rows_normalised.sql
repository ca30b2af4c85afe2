{#- Grain: one row per ledger row created before as_of, its credits signed by its type. -#}
{{ config(tags=['each_build']) }}
select
    transaction_id,
    team_id,
    organization_id,
    job_id,
    transaction_type,
    {{ ledger_movement('transaction_type') }} as movement,
    {{ ledger_credits_signed('transaction_type', 'credits_amount') }} as credits_signed,
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
