{#- Grain: one row per ledger row: what people's queries call `credit_transactions`. -#}
{{ config(materialized='view') }}
select
    transaction_id,
    team_id,
    organization_id,
    job_id,
    transaction_type,
    credits_signed as credits_amount,
    credits_before,
    credits_after,
    reason,
    created_at

from {{ ref('fct_credit_transactions') }}
