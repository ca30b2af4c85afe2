-- What the scripts by hand read: rows of the Parquet files below $source from a moment on.

set TimeZone = 'UTC';

create or replace macro jobs_since(since) as table
select
    jobs.job_id,
    jobs.team_id,
    coalesce(jobs.organization_id, teams.organization_id, 'unassigned') as organization_id,
    jobs.user_id,
    lower(jobs.status) as status,
    epoch_us(jobs.completed_at) - epoch_us(jobs.created_at) as duration_us,
    jobs.created_at
from '$source/jobs/*.parquet' as jobs
left join '$source/team_credits/*.parquet' as teams using (team_id)
where jobs.created_at >= since;

-- a call can come hours after its job
create or replace macro calls_since(since) as table
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
from '$source/llm_calls/*.parquet' as calls
left join jobs_since(since - interval 2 day) as jobs using (job_id)
left join '$source/team_credits/*.parquet' as teams on jobs.team_id = teams.team_id
left join '$source/model_aliases/*.parquet' as aliases on calls.resolved_model = aliases.model_alias
where calls.created_at >= since;

create or replace macro credits_since(since) as table
select
    team_id,
    coalesce(organization_id, 'unassigned') as organization_id,
    transaction_type,
    credits_amount,
    created_at
from '$source/credit_transactions/*.parquet'
where created_at >= since;
