{#-
    Failures by team, job type and error class, for one period type; `by`: by these columns first.

    Failed jobs by the job's clock and class; failed calls by the call's; wasted cost is
    the client cost of every call of a failed job, by the call's clock and the job's class.
-#}
{%- macro error_breakdown_by_period(period_type, by=[]) -%}
{%- set keys = by + ['team_id', 'job_type', 'error_class'] -%}
{{ replaced_when_touched('period_start_date', period_type, in_portions=true) }}
with

periods as (

    {{ periods_of_type(period_type) }}

),

calls as (

    select
        job_id,
        {{ keys | join(',\n        ') }},
        is_failed,
        is_of_failed_job,
        client_cost_usd,
        call_date

    from {{ ref('fct_llm_calls') }}
    where
        (is_failed or is_of_failed_job)
        and {{ is_touched('call_date', period_type) }}

),

failures as (

    select
        {{ keys | join(',\n        ') }},
        {{ period_start('job_date', period_type) }} as period_start_date,
        1 as failed_jobs,
        0 as failed_calls,
        0 as wasted_calls,
        cast(null as numeric(28, 8)) as wasted_cost_usd

    from {{ ref('fct_jobs') }}
    where
        outcome = 'failed'
        and {{ is_touched('job_date', period_type) }}

    union all

    select
        {{ keys | join(',\n        ') }},
        {{ period_start('call_date', period_type) }} as period_start_date,
        0 as failed_jobs,
        1 as failed_calls,
        0 as wasted_calls,
        cast(null as numeric(28, 8)) as wasted_cost_usd

    from calls
    where is_failed

    union all

    select
        {%- for key in keys %}
        failed_jobs.{{ key }},
        {%- endfor %}
        {{ period_start('calls.call_date', period_type) }} as period_start_date,
        0 as failed_jobs,
        0 as failed_calls,
        1 as wasted_calls,
        calls.client_cost_usd as wasted_cost_usd

    from calls

    -- a job of an earlier period, too
    inner join {{ ref('fct_jobs') }} as failed_jobs
        on calls.job_id = failed_jobs.job_id

    where
        calls.is_of_failed_job
        and failed_jobs.outcome = 'failed'
        and {{ is_touched('failed_jobs.created_at', 'read' if period_type == 'day' else 'read_' ~ period_type) }}

),

added_up as (

    select
        {{ (keys + ['period_start_date']) | join(',\n        ') }},
        cast(sum(failed_jobs) as bigint) as failed_job_count,
        cast(sum(failed_calls) as bigint) as failed_call_count,
        cast(
            case when sum(wasted_calls) = 0 then 0 else sum(wasted_cost_usd) end as numeric(28, 8)
        ) as wasted_cost_usd

    from failures
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

final as (

    select
        {%- for key in keys %}
        added_up.{{ key }},
        {%- endfor %}
        {{ period_columns() }},
        added_up.failed_job_count,
        added_up.failed_call_count,
        added_up.wasted_cost_usd

    from added_up

    inner join periods
        on added_up.period_start_date = periods.period_start_date

)

select * from final
{%- endmacro -%}
