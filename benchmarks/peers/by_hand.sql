-- The floor: what a careful analyst would write by hand in DuckDB for the same usage numbers, straight from the Parquet
-- files (by_hand_rows.sql), without history, findings, tests or reviews.

create table fct_jobs as from jobs_since(timestamp '1970-01-01');
create table fct_llm_calls as from calls_since(timestamp '1970-01-01');
create table fct_credit_transactions as from credits_since(timestamp '1970-01-01');

create macro jobs_by(period, team, organization, since) as table
select
    date_trunc(period, created_at) as period_start_date,
    if(team, team_id, null) as team_id,
    if(organization, organization_id, null) as organization_id,
    count(*) as job_count,
    count(*) filter (where status = 'completed') as completed_job_count,
    count(*) filter (where status = 'failed') as failed_job_count,
    count(distinct (team_id, user_id)) filter (where user_id is not null) as active_user_count,
    avg(duration_us) / 1000000 as avg_job_seconds,
    quantile_cont(duration_us, 0.95) / 1000000 as p95_job_seconds
from fct_jobs
where created_at >= date_trunc(period, since)
group by all;

create macro calls_by(period, team, organization, by_model, since) as table
select
    * exclude (latency_percentiles_ms),
    latency_percentiles_ms[1] as latency_p50_ms,
    latency_percentiles_ms[2] as latency_p95_ms,
    latency_percentiles_ms[3] as latency_p99_ms
from (
    select
        date_trunc(period, created_at) as period_start_date,
        if(team, team_id, null) as team_id,
        if(organization, organization_id, null) as organization_id,
        if(by_model, model_group, null) as model_group,
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
    where created_at >= date_trunc(period, since)
    group by all
);

create macro credits_by(period, team, organization, since) as table
select
    date_trunc(period, created_at) as period_start_date,
    if(team, team_id, null) as team_id,
    if(organization, organization_id, null) as organization_id,
    sum(credits_amount) filter (where transaction_type = 'deduction') as credits_used,
    sum(credits_amount) filter (where transaction_type != 'deduction') as credits_added
from fct_credit_transactions
where created_at >= date_trunc(period, since)
group by all;

create macro usage_by(period, team, organization, since) as table
select
    coalesce(jobs.period_start_date, calls.period_start_date, credits.period_start_date) as period_start_date,
    coalesce(jobs.team_id, calls.team_id, credits.team_id) as team_id,
    coalesce(jobs.organization_id, calls.organization_id, credits.organization_id) as organization_id,
    jobs.* exclude (period_start_date, team_id, organization_id),
    calls.* exclude (period_start_date, team_id, organization_id, model_group, model),
    credits.* exclude (period_start_date, team_id, organization_id)
from jobs_by(period, team, organization, since) as jobs
full join calls_by(period, team, organization, false, since) as calls
    on jobs.period_start_date = calls.period_start_date
    and jobs.team_id is not distinct from calls.team_id
    and jobs.organization_id is not distinct from calls.organization_id
full join credits_by(period, team, organization, since) as credits
    on coalesce(jobs.period_start_date, calls.period_start_date) = credits.period_start_date
    and coalesce(jobs.team_id, calls.team_id) is not distinct from credits.team_id
    and coalesce(jobs.organization_id, calls.organization_id) is not distinct from credits.organization_id;

create table team_usage_daily as from usage_by('day', true, false, timestamp '1970-01-01');
create table team_usage_weekly as from usage_by('week', true, false, timestamp '1970-01-01');
create table team_usage_monthly as from usage_by('month', true, false, timestamp '1970-01-01');
create table organization_usage_daily as from usage_by('day', false, true, timestamp '1970-01-01');
create table organization_usage_weekly as from usage_by('week', false, true, timestamp '1970-01-01');
create table organization_usage_monthly as from usage_by('month', false, true, timestamp '1970-01-01');
create table platform_usage_daily as from usage_by('day', false, false, timestamp '1970-01-01');
create table platform_usage_weekly as from usage_by('week', false, false, timestamp '1970-01-01');
create table platform_usage_monthly as from usage_by('month', false, false, timestamp '1970-01-01');
create table model_usage_daily as from calls_by('day', true, false, true, timestamp '1970-01-01');
create table model_usage_weekly as from calls_by('week', true, false, true, timestamp '1970-01-01');
create table model_usage_monthly as from calls_by('month', true, false, true, timestamp '1970-01-01');
create table model_performance_daily as from calls_by('day', false, false, true, timestamp '1970-01-01');
create table model_performance_weekly as from calls_by('week', false, false, true, timestamp '1970-01-01');
create table model_performance_monthly as from calls_by('month', false, false, true, timestamp '1970-01-01');
