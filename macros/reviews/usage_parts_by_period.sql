{#-
    What adds up of jobs, calls and credits, by every part that reviews list, for one
    period type. Each by its own clock, as in the usage marts; a job and a ledger row have
    no model, and the calls of a row no jobs.
-#}
{%- macro usage_parts_by_period(period_type) -%}
{%- set keys = ['organization_id', 'team_id', 'job_type'] -%}
{%- set measures = {
    'jobs': ['job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count'],
    'calls': ['call_count', 'failed_call_count', 'priced_call_count', 'total_tokens', 'client_cost_usd', 'provider_cost_usd'],
    'credits': ['credits_used'],
} -%}
{{ replaced_when_touched('period_start_date', period_type, in_portions=true) }}
with

jobs as (

    select
        {{ keys | join(',\n        ') }},
        cast(null as {{ dbt.type_string() }}) as model,
        {{ period_start('job_date', period_type) }} as period_start_date,
        count(*) as job_count,
        {%- for outcome in ['completed', 'failed', 'cancelled'] %}
        count(case when outcome = '{{ outcome }}' then 1 end) as {{ outcome }}_job_count{% if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('fct_jobs') }}
    where {{ is_touched('job_date', period_type) }}
    group by {{ keys | join(', ') }}, {{ period_start('job_date', period_type) }}

),

calls as (

    select
        {{ keys | join(',\n        ') }},
        model,
        {{ period_start('call_date', period_type) }} as period_start_date,
        count(*) as call_count,
        count(case when is_failed then 1 end) as failed_call_count,
        count(client_cost_usd) as priced_call_count,
        sum(total_tokens) as total_tokens,
        sum(client_cost_usd) as client_cost_usd,
        sum(provider_cost_usd) as provider_cost_usd

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', period_type) }}
    group by {{ keys | join(', ') }}, model, {{ period_start('call_date', period_type) }}

),

credits as (

    select
        {{ keys | join(',\n        ') }},
        cast(null as {{ dbt.type_string() }}) as model,
        {{ period_start('transaction_date', period_type) }} as period_start_date,
        sum(case when movement in ('deduction', 'refund') then -credits_signed else 0 end) as credits_used

    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('transaction_date', period_type) }}
    group by {{ keys | join(', ') }}, {{ period_start('transaction_date', period_type) }}

),

final as (

    {% for part, own in measures.items() -%}
    select
        '{{ part }}' as part,
        {{ keys | join(',\n        ') }},
        model,
        period_start_date,
        {%- for relation, columns in measures.items() %}
        {%- set last_relation = loop.last %}
        {%- for column in columns %}
        {%- set type = 'numeric(28, 8)' if column.endswith('_usd') else 'bigint' %}
        cast({{ column if relation == part else 'null' }} as {{ type }}) as {{ column }}{% if not (last_relation and loop.last) %},{% endif %}
        {%- endfor %}
        {%- endfor %}

    from {{ part }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
{%- endmacro -%}
