-- The night after by_hand.sql: the days from $since on are read and replaced, and every day, week and month that
-- they touch. It works because late changes reach back seven days here; nothing would tell of one further back.
-- After by_hand_rows.sql on the new folder.

begin;

delete from fct_jobs where created_at >= timestamp '$since';
insert into fct_jobs from jobs_since(timestamp '$since');
delete from fct_llm_calls where created_at >= timestamp '$since';
insert into fct_llm_calls from calls_since(timestamp '$since');
delete from fct_credit_transactions where created_at >= timestamp '$since';
insert into fct_credit_transactions from credits_since(timestamp '$since');

delete from team_usage_daily where period_start_date >= date_trunc('day', timestamp '$since');
insert into team_usage_daily from usage_by('day', true, false, timestamp '$since');
delete from team_usage_weekly where period_start_date >= date_trunc('week', timestamp '$since');
insert into team_usage_weekly from usage_by('week', true, false, timestamp '$since');
delete from team_usage_monthly where period_start_date >= date_trunc('month', timestamp '$since');
insert into team_usage_monthly from usage_by('month', true, false, timestamp '$since');

delete from organization_usage_daily where period_start_date >= date_trunc('day', timestamp '$since');
insert into organization_usage_daily from usage_by('day', false, true, timestamp '$since');
delete from organization_usage_weekly where period_start_date >= date_trunc('week', timestamp '$since');
insert into organization_usage_weekly from usage_by('week', false, true, timestamp '$since');
delete from organization_usage_monthly where period_start_date >= date_trunc('month', timestamp '$since');
insert into organization_usage_monthly from usage_by('month', false, true, timestamp '$since');

delete from platform_usage_daily where period_start_date >= date_trunc('day', timestamp '$since');
insert into platform_usage_daily from usage_by('day', false, false, timestamp '$since');
delete from platform_usage_weekly where period_start_date >= date_trunc('week', timestamp '$since');
insert into platform_usage_weekly from usage_by('week', false, false, timestamp '$since');
delete from platform_usage_monthly where period_start_date >= date_trunc('month', timestamp '$since');
insert into platform_usage_monthly from usage_by('month', false, false, timestamp '$since');

delete from model_usage_daily where period_start_date >= date_trunc('day', timestamp '$since');
insert into model_usage_daily from calls_by('day', true, false, true, timestamp '$since');
delete from model_usage_weekly where period_start_date >= date_trunc('week', timestamp '$since');
insert into model_usage_weekly from calls_by('week', true, false, true, timestamp '$since');
delete from model_usage_monthly where period_start_date >= date_trunc('month', timestamp '$since');
insert into model_usage_monthly from calls_by('month', true, false, true, timestamp '$since');

delete from model_performance_daily where period_start_date >= date_trunc('day', timestamp '$since');
insert into model_performance_daily from calls_by('day', false, false, true, timestamp '$since');
delete from model_performance_weekly where period_start_date >= date_trunc('week', timestamp '$since');
insert into model_performance_weekly from calls_by('week', false, false, true, timestamp '$since');
delete from model_performance_monthly where period_start_date >= date_trunc('month', timestamp '$since');
insert into model_performance_monthly from calls_by('month', false, false, true, timestamp '$since');

commit;
