{#-
    Grain: one row per team with calls in the last day: those of model groups that it never used before, and how its calls
    stand to its busiest day of four weeks.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
{%- set day_ago_date = local_date('(' ~ day_ago ~ ')') -%}
with

calls as (

    select
        jobs.team_id,
        calls.model_group,
        calls.created_at >= {{ day_ago }} as is_recent

    from {{ ref('int_alert_calls') }} as calls
    inner join {{ ref('int_alert_jobs') }} as jobs
        on calls.job_id = jobs.job_id

),

recent as (

    select
        team_id,
        model_group,
        count(*) as call_count

    from calls
    where is_recent
    group by team_id, model_group

),

earlier as (

    select
        team_id,
        model_group

    from calls
    where not is_recent

    union

    select
        team_id,
        model_group

    from {{ ref('model_usage_daily') }}
    where period_start_date < {{ day_ago_date }}

),

usual as (

    select
        team_id,
        min(period_start_date) as first_date,
        max(
            case when period_start_date >= {{ day_ago_date }} - {{ var('alert_baseline_days') }} then call_count end
        ) as busiest_count

    from {{ ref('team_usage_daily') }}
    where period_start_date < {{ day_ago_date }} and call_count > 0
    group by team_id

),

final as (

    select
        recent.team_id,
        sum(recent.call_count) as call_count,
        sum(
            case when earlier.team_id is null and recent.model_group <> 'unknown' then recent.call_count else 0 end
        ) as new_call_count,
        max(usual.busiest_count) as busiest_count,
        min(usual.first_date) <= {{ day_ago_date }} - {{ var('alert_new_group_min_days') }} as has_history

    from recent

    -- what is new
    left join earlier
        on
            recent.team_id = earlier.team_id
            and recent.model_group = earlier.model_group

    -- a team in its first days
    left join usual
        on recent.team_id = usual.team_id
    group by recent.team_id

)

select * from final
