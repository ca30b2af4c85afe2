-- I3: completed + failed + cancelled + open + other = all jobs.
-- Returns the platform's days on which they do not.
select
    period_start_date,
    job_count,
    completed_job_count,
    failed_job_count,
    cancelled_job_count,
    open_job_count,
    other_job_count

from {{ ref('platform_usage_daily') }}
where job_count <> completed_job_count + failed_job_count + cancelled_job_count + open_job_count + other_job_count
