{#-
    Grain: one row per scope and measure (finished jobs, calls) that was active in the seven days before the
    moment of evaluation, or usually is: what failed beside what usually does.
-#}
with

recent as (

    select * from {{ ref('int_alert_recent_outcomes') }}

),

usual as (

    select * from {{ ref('int_alert_usual_failures') }}

),

final as (

    select
        coalesce(recent.scope_kind, usual.scope_kind) as scope_kind,
        coalesce(recent.scope_id, usual.scope_id) as scope_id,
        coalesce(recent.measure, usual.measure) as measure,
        recent.organization_id,
        usual.usual_rate,
        case
            when coalesce(recent.measure, usual.measure) = 'calls'
                then {{ var('alert_error_rate_min_calls') }}
            else {{ var('alert_error_rate_min_finished') }}
        end as minimum_volume,
        coalesce(recent.total_of_hour, 0) as total_of_hour,
        coalesce(recent.failed_of_hour, 0) as failed_of_hour,
        coalesce(recent.total_of_day, 0) as total_of_day,
        coalesce(recent.failed_of_day, 0) as failed_of_day,
        coalesce(recent.failed_jobs_of_day, 0) as failed_jobs_of_day,
        coalesce(recent.total_of_three_days, 0) as total_of_three_days,
        coalesce(recent.failed_of_three_days, 0) as failed_of_three_days,
        coalesce(recent.failed_jobs_of_three_days, 0) as failed_jobs_of_three_days,
        coalesce(recent.total_of_week, 0) as total_of_week,
        coalesce(recent.failed_of_week, 0) as failed_of_week,
        coalesce(recent.failed_jobs_of_week, 0) as failed_jobs_of_week

    from recent

    -- a scope that is young, or one that has fallen silent
    full outer join usual
        on
            recent.scope_kind = usual.scope_kind
            and recent.scope_id = usual.scope_id
            and recent.measure = usual.measure

)

select * from final
