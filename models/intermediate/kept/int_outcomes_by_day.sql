{#-
    Grain: one row per team, organization, job type and local day with a finished job or a call, refusals
    left out: what alerts compare a window with.
-#}
{{ replaced_when_touched('outcome_date', 'day') }}
with

jobs as (

    select
        team_id,
        organization_id,
        job_type,
        job_date as outcome_date,
        count(*) as finished_job_count,
        count(case when outcome = 'failed' then 1 end) as failed_job_count

    from {{ ref('fct_jobs') }}
    where
        outcome in ('completed', 'failed', 'cancelled')
        and coalesce(error_class, '') <> 'model_denied'
        and {{ is_touched('job_date', 'day') }}
    group by team_id, organization_id, job_type, job_date

),

calls as (

    select
        team_id,
        organization_id,
        job_type,
        call_date as outcome_date,
        count(*) as call_count,
        count(case when is_failed then 1 end) as failed_call_count

    from {{ ref('fct_llm_calls') }}
    where
        not is_doubled_failure
        and coalesce(error_class, '') <> 'model_denied'
        and {{ is_touched('call_date', 'day') }}
    group by team_id, organization_id, job_type, call_date

),

final as (

    select
        coalesce(jobs.team_id, calls.team_id) as team_id,
        coalesce(jobs.organization_id, calls.organization_id) as organization_id,
        coalesce(jobs.job_type, calls.job_type) as job_type,
        coalesce(jobs.outcome_date, calls.outcome_date) as outcome_date,
        coalesce(jobs.finished_job_count, 0) as finished_job_count,
        coalesce(jobs.failed_job_count, 0) as failed_job_count,
        coalesce(calls.call_count, 0) as call_count,
        coalesce(calls.failed_call_count, 0) as failed_call_count

    from jobs

    -- a day may have the calls of jobs of the day before
    full outer join calls
        on
            jobs.team_id = calls.team_id
            and jobs.organization_id = calls.organization_id
            and jobs.job_type = calls.job_type
            and jobs.outcome_date = calls.outcome_date

)

select * from final
where {{ is_touched('outcome_date', 'day') }}
