{#-
    Grain: one row per job and measure (finished jobs, calls) of the seven days before the moment of
    evaluation, with how many there were and how many failed in the last hour, day, three and seven days.

    All events of a job are of one team and type: fewer rows to repeat for every scope than the events are.
-#}
{%- set windows = {'hour': '1 hour', 'day': '24 hours', 'three_days': '72 hours', 'week': '168 hours'} -%}
with

jobs as (

    select * from {{ ref('int_alert_jobs') }}

),

calls as (

    select * from {{ ref('int_alert_calls') }}

),

events as (

    select
        team_id,
        organization_id,
        job_type,
        'finished jobs' as measure,
        job_id,
        is_failed,
        created_at

    from jobs
    where is_finished and not is_refused

    union all

    select
        coalesce(jobs.team_id, 'unassigned') as team_id,
        coalesce(jobs.organization_id, 'unassigned') as organization_id,
        coalesce(jobs.job_type, 'unassigned') as job_type,
        'calls' as measure,
        calls.job_id,
        calls.is_failed,
        calls.created_at

    from calls

    -- a call of a job that is older than the window
    left join jobs
        on calls.job_id = jobs.job_id

),

final as (

    select
        team_id,
        organization_id,
        job_type,
        measure,
        job_id
        {%- for name, length in windows.items() %},
        count(
            case when created_at >= {{ evaluated_at() }} - interval '{{ length }}' then 1 end
        ) as total_of_{{ name }},
        count(
            case when is_failed and created_at >= {{ evaluated_at() }} - interval '{{ length }}' then 1 end
        ) as failed_of_{{ name }}
        {%- endfor %}

    from events
    group by team_id, organization_id, job_type, measure, job_id

)

select * from final
