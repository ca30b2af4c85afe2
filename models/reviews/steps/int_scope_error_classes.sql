{#- Grain: one row per kind of review, scope, error class and period: its failures, of all job types and teams. -#}
select
    {{ review_keys() }},
    period_start_date,
    error_class,
    sum(failed_job_count) as failed_job_count,
    sum(failed_call_count) as failed_call_count,
    sum(wasted_cost_usd) as wasted_cost_usd

from {{ ref('int_scope_failures') }}
group by {{ review_keys() }}, period_start_date, error_class
