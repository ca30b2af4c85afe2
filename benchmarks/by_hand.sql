-- The floor: what a careful analyst would write by hand in DuckDB for the same usage numbers, straight from the
-- Parquet files, without history, findings, tests or reviews. $source stands for the platform's folder.

set TimeZone = 'UTC';

create table fct_jobs as
select
    jobs.job_id,
    jobs.team_id,
    coalesce(jobs.organization_id, teams.organization_id, 'unassigned') as organization_id,
    jobs.user_id,
    jobs.job_type,
    lower(jobs.status) as status,
    jobs.completed_at - jobs.created_at as duration,
    jobs.created_at
from '$source/jobs/*.parquet' as jobs
left join '$source/team_credits/*.parquet' as teams using (team_id);

create table fct_llm_calls as
select
    calls.call_id,
    calls.job_id,
    jobs.team_id,
    jobs.organization_id,
    coalesce(aliases.actual_model, calls.resolved_model, calls.model_group_used, 'unknown') as model,
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
    calls.error,
    calls.created_at
from '$source/llm_calls/*.parquet' as calls
left join fct_jobs as jobs using (job_id)
left join '$source/team_credits/*.parquet' as teams on jobs.team_id = teams.team_id
left join '$source/model_aliases/*.parquet' as aliases on calls.resolved_model = aliases.model_alias;

create table fct_credit_transactions as
select
    transaction_id,
    team_id,
    coalesce(organization_id, 'unassigned') as organization_id,
    job_id,
    transaction_type,
    credits_amount,
    created_at
from '$source/credit_transactions/*.parquet';

create macro jobs_by(period, team, organization) as table
select
    date_trunc(period, created_at) as period_start_date,
    if(team, team_id, null) as team_id,
    if(organization, organization_id, null) as organization_id,
    count(*) as job_count,
    count(*) filter (where status = 'completed') as completed_job_count,
    count(*) filter (where status = 'failed') as failed_job_count,
    count(distinct team_id) as active_team_count,
    count(distinct (team_id, user_id)) filter (where user_id is not null) as active_user_count,
    avg(epoch(duration)) as avg_job_seconds,
    quantile_cont(epoch(duration), 0.95) as p95_job_seconds
from fct_jobs
group by 1, 2, 3;

create macro calls_by(period, team, organization, by_model) as table
select
    date_trunc(period, created_at) as period_start_date,
    if(team, team_id, null) as team_id,
    if(organization, organization_id, null) as organization_id,
    if(by_model, model, null) as model,
    count(*) as call_count,
    count(*) filter (where is_failed) as failed_call_count,
    sum(prompt_tokens) as prompt_tokens,
    sum(completion_tokens) as completion_tokens,
    sum(total_tokens) as total_tokens,
    sum(provider_cost_usd) as provider_cost_usd,
    sum(client_cost_usd) as client_cost_usd,
    avg(latency_ms) as latency_avg_ms,
    quantile_cont(latency_ms, [0.5, 0.95, 0.99]) as latency_percentiles_ms,
    max(latency_ms) as latency_max_ms
from fct_llm_calls
group by 1, 2, 3, 4;

create macro credits_by(period, team, organization) as table
select
    date_trunc(period, created_at) as period_start_date,
    if(team, team_id, null) as team_id,
    if(organization, organization_id, null) as organization_id,
    sum(credits_amount) filter (where transaction_type = 'deduction') as credits_used,
    sum(credits_amount) filter (where transaction_type != 'deduction') as credits_added
from fct_credit_transactions
group by 1, 2, 3;

create macro usage_by(period, team, organization) as table
from jobs_by(period, team, organization) as jobs
full join calls_by(period, team, organization, false) as calls
    on jobs.period_start_date = calls.period_start_date
    and jobs.team_id is not distinct from calls.team_id
    and jobs.organization_id is not distinct from calls.organization_id
full join credits_by(period, team, organization) as credits
    on jobs.period_start_date = credits.period_start_date
    and jobs.team_id is not distinct from credits.team_id
    and jobs.organization_id is not distinct from credits.organization_id;

create table team_usage_daily as from usage_by('day', true, false);
create table team_usage_weekly as from usage_by('week', true, false);
create table team_usage_monthly as from usage_by('month', true, false);
create table organization_usage_daily as from usage_by('day', false, true);
create table organization_usage_weekly as from usage_by('week', false, true);
create table organization_usage_monthly as from usage_by('month', false, true);
create table platform_usage_daily as from usage_by('day', false, false);
create table platform_usage_weekly as from usage_by('week', false, false);
create table platform_usage_monthly as from usage_by('month', false, false);
create table model_usage_daily as from calls_by('day', false, false, true);
create table model_usage_weekly as from calls_by('week', false, false, true);
create table model_usage_monthly as from calls_by('month', false, false, true);
