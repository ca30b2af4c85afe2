{#- Grain: one row per job: what people's queries call `jobs`. -#}
{{ config(materialized='view') }}
select
    job_id,
    team_id,
    organization_id,
    user_id,
    job_type,
    status,
    created_at,
    started_at,
    completed_at,
    is_credit_applied as credit_applied

from {{ ref('fct_jobs') }}
