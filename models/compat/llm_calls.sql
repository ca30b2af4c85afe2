{#- Grain: one row per LLM call: what people's queries call `llm_calls`. -#}
{{ config(materialized='view') }}
select
    call_id,
    job_id,
    model_group as model_group_used,
    resolved_model,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    provider_cost_usd as cost_usd,
    provider_cost_usd,
    client_cost_usd,
    latency_ms,
    error_class as error,
    created_at

from {{ ref('fct_llm_calls') }}
