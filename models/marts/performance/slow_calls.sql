{#- Grain: one row per successful call slower than slow_call_ms shortly before as_of. -#}
select
    call_id,
    job_id,
    team_id,
    organization_id,
    job_type,
    model_group,
    resolved_model,
    model,
    provider,
    latency_ms,
    total_tokens,
    created_at

from {{ ref('fct_llm_calls') }}
where
    not is_failed
    and latency_ms > {{ var('slow_call_ms') }}
    and created_at >= {{ as_of() }} - interval '{{ var("slow_call_days") * 24 }} hours'
