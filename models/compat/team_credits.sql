{#- Grain: one row per team that exists now: what people's queries call `team_credits`. -#}
select
    team_id,
    organization_id,
    credits_allocated,
    credits_used,
    credits_remaining,
    credit_limit,
    is_auto_refill as auto_refill,
    refill_amount,
    refill_period,
    last_refill_at,
    budget_mode,
    credits_per_dollar,
    tokens_per_credit,
    markup_percentage as cost_markup_percentage,
    status,
    created_at,
    updated_at

from {{ ref('stg_saas__team_credits') }}
