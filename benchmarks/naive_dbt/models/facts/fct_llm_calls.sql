select
    jobs.team_id,
    jobs.organization_id,
    coalesce(calls.model_group_used, 'unknown') as model_group,
    coalesce(aliases.actual_model, calls.resolved_model, 'unknown') as model,
    calls.error is not null as is_failed,
    calls.prompt_tokens,
    calls.completion_tokens,
    calls.total_tokens,
    coalesce(calls.provider_cost_usd, calls.cost_usd, 0) as provider_cost_usd,
    coalesce(
        calls.client_cost_usd,
        coalesce(calls.provider_cost_usd, calls.cost_usd, 0) * (1 + teams.cost_markup_percentage / 100)
    ) as client_cost_usd,
    calls.latency_ms,
    calls.created_at
from {{ ref('stg_llm_calls') }} as calls
left join {{ ref('fct_jobs') }} as jobs using (job_id)
left join {{ ref('stg_teams') }} as teams on jobs.team_id = teams.team_id
left join {{ ref('stg_model_aliases') }} as aliases on calls.resolved_model = aliases.model_alias
