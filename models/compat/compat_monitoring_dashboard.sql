{#- Grain: one row: what the page's view `monitoring_dashboard` means to show. -#}
{{ config(materialized='view', alias='monitoring_dashboard') }}
select
    active_team_count as active_teams,
    job_count as total_jobs_today,
    completed_job_count as successful_jobs_today,
    failed_job_count as failed_jobs_today,
    client_cost_usd as total_cost_today,
    latency_avg_ms as avg_latency_today

from {{ ref('monitoring_dashboard') }}
