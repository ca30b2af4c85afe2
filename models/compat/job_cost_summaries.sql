{#-
    Grain: one row per job, recomputed from its calls: the platform's own table lacks jobs,
    prompt and completion tokens, and the cost of most calls.
-#}
{{ config(materialized='view', tags=['each_build']) }}
select
    job_id,
    call_count as total_calls,
    call_count - failed_call_count as successful_calls,
    failed_call_count as failed_calls,
    prompt_tokens as total_prompt_tokens,
    completion_tokens as total_completion_tokens,
    total_tokens,
    client_cost_usd as total_cost_usd,
    latency_avg_ms as avg_latency_ms,
    total_seconds as total_duration_seconds,
    {{ as_of() }} as calculated_at

from {{ ref('fct_jobs') }}
