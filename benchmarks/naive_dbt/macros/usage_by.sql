{%- macro calls_by(period, keys) -%}
select
    date_trunc('{{ period }}', created_at) as period_start_date,
    {%- for key in keys %}
    {{ key }},
    {%- endfor %}
    count(*) as call_count,
    count(*) filter (where is_failed) as failed_call_count,
    sum(prompt_tokens) as prompt_tokens,
    sum(completion_tokens) as completion_tokens,
    sum(total_tokens) as total_tokens,
    sum(provider_cost_usd) as provider_cost_usd,
    sum(client_cost_usd) as client_cost_usd,
    avg(latency_ms) as latency_avg_ms,
    percentile_cont(0.50) within group (order by latency_ms) as latency_p50_ms,
    percentile_cont(0.95) within group (order by latency_ms) as latency_p95_ms,
    percentile_cont(0.99) within group (order by latency_ms) as latency_p99_ms,
    max(latency_ms) as latency_max_ms
from {{ ref('fct_llm_calls') }}
group by all
{%- endmacro -%}

{%- macro usage_by(period, keys) -%}
with

jobs as (

    select
        date_trunc('{{ period }}', created_at) as period_start_date,
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        count(*) as job_count,
        count(*) filter (where status = 'completed') as completed_job_count,
        count(*) filter (where status = 'failed') as failed_job_count,
        count(distinct (team_id, user_id)) filter (where user_id is not null) as active_user_count,
        avg(duration_us) / 1000000 as avg_job_seconds,
        percentile_cont(0.95) within group (order by duration_us) / 1000000 as p95_job_seconds
    from {{ ref('fct_jobs') }}
    group by all

),

calls as ({{ calls_by(period, keys) }}),

credits as (

    select
        date_trunc('{{ period }}', created_at) as period_start_date,
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        sum(credits_amount) filter (where transaction_type = 'deduction') as credits_used,
        sum(credits_amount) filter (where transaction_type != 'deduction') as credits_added
    from {{ ref('fct_credit_transactions') }}
    group by all

)

select *
from jobs
full join calls using ({{ (['period_start_date'] + keys) | join(', ') }})
full join credits using ({{ (['period_start_date'] + keys) | join(', ') }})
{%- endmacro -%}
