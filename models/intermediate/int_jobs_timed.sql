{#-
    Grain: one row per job created before as_of, with how long it waited and ran.

    create-and-call stores a start up to a millisecond before the creation: less than a
    second is a wait of 0, more is a finding, and no time is shown. Nor is a time of over a
    century shown, which a year 9999 makes.
-#}
{{ config(tags=['each_build']) }}
{%- set century = 100 * 365 * 86400 * 1000000 -%}
with

jobs as (

    select
        *,
        outcome in ('completed', 'failed', 'cancelled') as is_finished,
        {{ microseconds_between('created_at', 'started_at') }} as stored_queue_microseconds,
        {{ microseconds_between('started_at', 'completed_at') }} as stored_run_microseconds,
        {{ microseconds_between('created_at', 'completed_at') }} as stored_total_microseconds

    from {{ ref('int_jobs_attributed') }}

),

final as (

    select
        job_id,
        team_id,
        organization_id,
        user_id,
        job_type,
        status,
        outcome,
        error_message,
        is_credit_applied,
        outcome = 'open'
        and created_at < {{ as_of() }} - interval '{{ var("stuck_job_hours") }} hours' as is_stuck,
        case
            when stored_queue_microseconds > -1000000 and stored_queue_microseconds <= {{ century }}
                then greatest(stored_queue_microseconds, 0)
        end as queue_microseconds,
        case
            when is_finished and stored_run_microseconds between 0 and {{ century }} then stored_run_microseconds
        end as run_microseconds,
        case
            when is_finished and stored_total_microseconds between 0 and {{ century }} then stored_total_microseconds
        end as total_microseconds,
        coalesce(stored_queue_microseconds <= -1000000, false) as has_negative_queue,
        coalesce(is_finished and stored_run_microseconds < 0, false) as has_negative_run,
        coalesce(is_finished and stored_total_microseconds < 0, false) as has_negative_total,
        coalesce(
            greatest(stored_queue_microseconds, stored_total_microseconds) > {{ century }}, false
        ) as has_endless_time,
        created_at,
        started_at,
        completed_at

    from jobs

)

select * from final
