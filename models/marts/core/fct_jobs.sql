{#- Grain: one row per job created before as_of. -#}
{{ replaced_when_touched('job_date', 'day') }}
with

jobs as (

    select * from {{ ref('int_jobs_timed') }}

),

job_calls as (

    select * from {{ ref('int_llm_calls_aggregated_to_jobs') }}

),

job_credits as (

    select
        job_id,
        credits_charged

    from {{ ref('int_credits_aggregated_to_jobs') }}

),

error_texts as (

    select
        error_text,
        error_class

    from {{ ref('int_error_texts_classified') }}

),

final as (

    select
        jobs.job_id,
        jobs.team_id,
        jobs.organization_id,
        jobs.user_id,
        jobs.job_type,
        jobs.status,
        jobs.outcome,
        jobs.is_stuck,
        jobs.is_credit_applied,
        case
            when jobs.outcome = 'failed'
                then coalesce(
                    nullif(error_texts.error_class, 'unclassified'), job_calls.last_error_class, 'unclassified'
                )
        end as error_class,
        {{ seconds_from_microseconds('jobs.queue_microseconds') }} as queue_seconds,
        {{ seconds_from_microseconds('jobs.run_microseconds') }} as run_seconds,
        {{ seconds_from_microseconds('jobs.total_microseconds') }} as total_seconds,
        jobs.total_microseconds,
        coalesce(job_calls.call_count, 0) as call_count,
        coalesce(job_calls.failed_call_count, 0) as failed_call_count,
        {{ sum_over_calls('job_calls', 'prompt_tokens') }} as prompt_tokens,
        {{ sum_over_calls('job_calls', 'completion_tokens') }} as completion_tokens,
        {{ sum_over_calls('job_calls', 'total_tokens') }} as total_tokens,
        {{ sum_over_calls('job_calls', 'provider_cost_usd') }} as provider_cost_usd,
        {{ sum_over_calls('job_calls', 'client_cost_usd') }} as client_cost_usd,
        coalesce(job_calls.unpriced_call_count, 0) as unpriced_call_count,
        {{ duration_ratio('job_calls.latency_sum_ms', 'job_calls.latency_call_count') }} as latency_avg_ms,
        coalesce(job_credits.credits_charged, 0) as credits_charged,
        {{ local_date('jobs.created_at') }} as job_date,
        jobs.created_at,
        jobs.started_at,
        jobs.completed_at

    from jobs

    -- a job that failed before its first call, or was abandoned, has no calls
    left join job_calls
        on jobs.job_id = job_calls.job_id

    -- a job that was never charged
    left join job_credits
        on jobs.job_id = job_credits.job_id

    left join error_texts
        on jobs.error_message = error_texts.error_text

)

select * from final
where {{ is_touched('job_date', 'day') }}
