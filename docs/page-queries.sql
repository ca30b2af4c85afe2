-- Get job statistics for the current month
SELECT
job_type,
status,
COUNT(*) as job_count,
AVG(EXTRACT(EPOCH FROM (completed_at - created_at))) as avg_duration_seconds
FROM jobs
WHERE created_at >= DATE_TRUNC('month', CURRENT_DATE)
GROUP BY job_type, status
ORDER BY job_count DESC;

-- Get model usage statistics
SELECT
model_group_used,
resolved_model,
COUNT(*) as call_count,
SUM(total_tokens) as total_tokens,
SUM(cost_usd) as total_cost_usd,
AVG(latency_ms) as avg_latency_ms
FROM llm_calls
WHERE created_at >= CURRENT_DATE - INTERVAL '7 days'
GROUP BY model_group_used, resolved_model
ORDER BY call_count DESC;

-- Get cost summary for all jobs
SELECT
j.team_id,
j.organization_id,
COUNT(DISTINCT j.job_id) as total_jobs,
SUM(jcs.total_calls) as total_api_calls,
SUM(jcs.total_tokens) as total_tokens,
SUM(jcs.total_cost_usd) as total_cost_usd,
AVG(jcs.avg_latency_ms) as avg_latency_ms
FROM jobs j
JOIN job_cost_summaries jcs ON j.job_id = jcs.job_id
WHERE j.created_at >= CURRENT_DATE - INTERVAL '30 days'
GROUP BY j.team_id, j.organization_id
ORDER BY total_cost_usd DESC;

-- Get monthly usage summaries for all teams
SELECT
team_id,
period,
period_type,
total_jobs,
successful_jobs,
failed_jobs,
total_cost_usd,
total_tokens,
job_type_breakdown
FROM team_usage_summaries
WHERE period_type = 'monthly'
AND period >= TO_CHAR(CURRENT_DATE - INTERVAL '6 months', 'YYYY-MM')
ORDER BY period DESC, total_cost_usd DESC;

-- Daily credit consumption trend
SELECT
DATE(created_at) as date,
SUM(CASE WHEN transaction_type = 'deduction' THEN ABS(credits_amount) ELSE 0 END) as credits_used,
SUM(CASE WHEN transaction_type = 'allocation' THEN credits_amount ELSE 0 END) as credits_added
FROM credit_transactions
WHERE team_id = 'team_abc123'
AND created_at >= CURRENT_DATE - INTERVAL '30 days'
GROUP BY DATE(created_at)
ORDER BY date DESC;

-- Top teams by credit consumption
SELECT
tc.team_id,
tc.organization_id,
tc.credits_allocated,
tc.credits_used,
tc.credits_remaining,
ROUND((tc.credits_used::float / NULLIF(tc.credits_allocated, 0) * 100), 2) as usage_percentage
FROM team_credits tc
WHERE tc.credits_allocated > 0
ORDER BY usage_percentage DESC
LIMIT 20;

-- Average latency by model group
SELECT
model_group_used,
COUNT(*) as call_count,
AVG(latency_ms) as avg_latency_ms,
MIN(latency_ms) as min_latency_ms,
MAX(latency_ms) as max_latency_ms,
PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY latency_ms) as p50_latency_ms,
PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) as p95_latency_ms,
PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY latency_ms) as p99_latency_ms
FROM llm_calls
WHERE created_at >= CURRENT_DATE - INTERVAL '24 hours'
AND latency_ms IS NOT NULL
GROUP BY model_group_used
ORDER BY avg_latency_ms DESC;

-- Error rates by job type
SELECT
job_type,
COUNT(*) as total_jobs,
SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) as failed_jobs,
ROUND((SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END)::float / COUNT(*) * 100), 2) as error_rate
FROM jobs
WHERE created_at >= CURRENT_DATE - INTERVAL '7 days'
GROUP BY job_type
ORDER BY error_rate DESC;

-- Create a view for quick dashboard queries
CREATE VIEW monitoring_dashboard AS
SELECT
COUNT(DISTINCT j.team_id) as active_teams,
COUNT(j.job_id) as total_jobs_today,
SUM(CASE WHEN j.status = 'completed' THEN 1 ELSE 0 END) as successful_jobs_today,
SUM(CASE WHEN j.status = 'failed' THEN 1 ELSE 0 END) as failed_jobs_today,
SUM(jcs.total_cost_usd) as total_cost_today,
AVG(jcs.avg_latency_ms) as avg_latency_today
FROM jobs j
LEFT JOIN job_cost_summaries jcs ON j.job_id = jcs.job_id
WHERE j.created_at >= CURRENT_DATE;

-- Weekly performance report
SELECT
DATE_TRUNC('week', j.created_at) as week,
COUNT(*) as total_jobs,
AVG(jcs.total_cost_usd) as avg_cost_per_job,
AVG(jcs.avg_latency_ms) as avg_latency,
SUM(CASE WHEN j.status = 'failed' THEN 1 ELSE 0 END)::float / COUNT(*) * 100 as error_rate
FROM jobs j
JOIN job_cost_summaries jcs ON j.job_id = jcs.job_id
WHERE j.created_at >= CURRENT_DATE - INTERVAL '12 weeks'
GROUP BY week
ORDER BY week DESC;

-- Find slow API calls
SELECT
call_id,
job_id,
model_group_used,
resolved_model,
latency_ms,
total_tokens,
created_at
FROM llm_calls
WHERE latency_ms > 5000
AND created_at >= CURRENT_DATE - INTERVAL '24 hours'
ORDER BY latency_ms DESC
LIMIT 50;
