{#- Grain: one row per window of the dashboard, with what happened in it. -#}
with

windows as (

    select * from {{ ref('int_dashboard_windows') }}

),

jobs as (

    select
        windows.dashboard_window,
        count(*) as job_count,
        count(distinct jobs.team_id) as active_team_count,
        count(case when jobs.outcome = 'completed' then 1 end) as completed_job_count,
        count(case when jobs.outcome = 'failed' then 1 end) as failed_job_count,
        count(case when jobs.outcome in ('completed', 'failed', 'cancelled') then 1 end) as finished_job_count

    from windows

    inner join {{ ref('fct_jobs') }} as jobs
        on
            windows.calendar_date = jobs.job_date
            -- today ends at as_of by itself, also in an hour that clocks repeat
            and (
                windows.dashboard_window = 'today'
                or {{ in_time_zone('jobs.created_at') }} < windows.local_until
            )

    group by windows.dashboard_window

),

call_rows as (

    select
        windows.dashboard_window,
        calls.is_failed,
        calls.prompt_tokens,
        calls.completion_tokens,
        calls.total_tokens,
        calls.provider_cost_usd,
        calls.client_cost_usd,
        calls.is_unpriced,
        case when not calls.is_failed then calls.latency_ms end as latency_ms

    from windows

    inner join {{ ref('fct_llm_calls') }} as calls
        on
            windows.calendar_date = calls.call_date
            and (
                windows.dashboard_window = 'today'
                or {{ in_time_zone('calls.created_at') }} < windows.local_until
            )

),

calls as (

    select
        dashboard_window,
        {{ call_aggregates() }}

    from call_rows
    group by dashboard_window

),

final as (

    select
        windows.dashboard_window,
        windows.calendar_date,
        coalesce(jobs.active_team_count, 0) as active_team_count,
        coalesce(jobs.job_count, 0) as job_count,
        coalesce(jobs.completed_job_count, 0) as completed_job_count,
        coalesce(jobs.failed_job_count, 0) as failed_job_count,
        {{ ratio('jobs.failed_job_count', 'jobs.finished_job_count') }} as failure_rate,
        coalesce(calls.call_count, 0) as call_count,
        {{ sum_over_calls('calls', 'total_tokens') }} as total_tokens,
        {{ sum_over_calls('calls', 'client_cost_usd') }} as client_cost_usd,
        {{ duration_ratio('calls.latency_sum_ms', 'calls.latency_call_count') }} as latency_avg_ms,
        cast(calls.latency_p95_ms as numeric(18, 3)) as latency_p95_ms

    from windows

    left join jobs
        on windows.dashboard_window = jobs.dashboard_window

    left join calls
        on windows.dashboard_window = calls.dashboard_window

)

select * from final
