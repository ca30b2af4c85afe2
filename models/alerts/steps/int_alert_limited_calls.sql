{#-
    Grain: one row per team with a call in the last day that failed at a rate limit: its worst ten minutes, and how many.
-#}
with

limited as (

    select
        jobs.team_id,
        jobs.organization_id,
        calls.created_at

    from {{ source('saas', 'llm_calls') }} as calls
    inner join {{ ref('int_alert_jobs') }} as jobs
        on calls.job_id = jobs.job_id
    where
        calls.created_at < {{ evaluated_at() }}
        and calls.created_at >= {{ evaluated_at() }} - {{ var('alert_security_hours') }} * interval '1 hour'
        and {{ is_of_error_class(lower_ascii('calls.error'), 'rate_limit', ref('error_classes')) }}

),

windows as (

    select
        *,
        count(*) over (
            partition by team_id
            order by created_at
            range between interval '{{ var("alert_security_minutes") }} minutes' preceding and current row
        ) as window_count

    from limited

),

final as (

    select
        team_id,
        max(organization_id) as organization_id,
        max(window_count) as worst_count,
        count(*) as day_count

    from windows
    group by team_id

)

select * from final
