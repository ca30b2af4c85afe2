-- I11: rates lie between 0 and 1, percentiles rise, no part is larger than its whole and
-- no cost is negative. Returns rows of any usage or performance mart that break this.
{% for mart in ['platform_usage', 'organization_usage', 'team_usage', 'job_type_usage', 'model_usage', 'model_performance'] -%}
{%- set marts = loop -%}
{% for period_type, suffix in [('day', 'daily'), ('week', 'weekly'), ('month', 'monthly')] -%}
select
    '{{ mart }}_{{ suffix }}' as mart,
    period_start_date,
    call_count,
    failed_call_count,
    latency_p50_ms,
    latency_p95_ms,
    latency_p99_ms,
    latency_max_ms,
    provider_cost_usd,
    client_cost_usd

from (
    select * from {{ ref(mart ~ '_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
) as touched_rows
where
    call_failure_rate not between 0 and 1
    or failed_call_count + unpriced_call_count > call_count
    or latency_call_count > call_count - failed_call_count
    or latency_p50_ms > latency_p95_ms
    or latency_p95_ms > latency_p99_ms
    or latency_p99_ms > latency_max_ms
    or latency_avg_ms > latency_max_ms
    or provider_cost_usd < 0
    or client_cost_usd < 0
    or calls_per_minute < 0
    {%- if mart not in ['model_usage', 'model_performance'] %}
    or failure_rate not between 0 and 1
    or success_rate not between 0 and 1
    or completed_job_count > job_count
    or active_team_count > job_count
    or active_user_count > job_count
    or p95_job_seconds < 0
    {%- endif %}
{% if not (loop.last and marts.last) %}union all{% endif %}
{% endfor %}
{% endfor %}
