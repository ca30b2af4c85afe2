{#-
    Grain: one row per team with jobs in the last day: those in hours in which it hardly ever works. An hour is one of a
    working day or of a weekend (UTC), with the hour before and after it.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
{%- set is_weekend = "extract(isodow from created_at) >= 6" -%}
{%- set hour = "cast(extract(hour from created_at) as integer)" -%}
with

recent as (

    select
        team_id,
        {{ is_weekend }} as is_weekend,
        {{ hour }} as hour_of_day,
        count(*) as job_count

    from {{ ref('int_alert_jobs') }}
    where created_at >= {{ day_ago }}
    group by team_id, {{ is_weekend }}, {{ hour }}

),

earlier_jobs as (

    select
        team_id,
        {{ is_weekend }} as is_weekend,
        {{ hour }} as hour_of_day,
        cast(created_at as date) as job_date

    from {{ ref('fct_jobs') }}
    where
        created_at < {{ day_ago }}
        and created_at >= {{ day_ago }} - 7 * {{ var('alert_spike_weeks') }} * interval '1 day'

),

earlier as (

    select
        team_id,
        is_weekend,
        hour_of_day,
        count(*) as job_count

    from earlier_jobs
    group by team_id, is_weekend, hour_of_day

),

usual as (

    select
        team_id,
        count(*) as job_count,
        count(distinct job_date) as day_count

    from earlier_jobs
    group by team_id

),

hours as (

    select
        recent.team_id,
        recent.is_weekend,
        recent.hour_of_day,
        recent.job_count,
        coalesce(sum(earlier.job_count), 0) as earlier_count

    from recent

    -- hours in which it never worked
    left join earlier
        on
            recent.team_id = earlier.team_id
            and recent.is_weekend = earlier.is_weekend
            and abs(recent.hour_of_day - earlier.hour_of_day) in (0, 1, 23)
    group by recent.team_id, recent.is_weekend, recent.hour_of_day, recent.job_count

),

final as (

    select
        hours.team_id,
        sum(hours.job_count) as job_count,
        sum(
            case
                when hours.earlier_count <= usual.job_count * {{ var('alert_odd_hours_share') }} then hours.job_count else 0
            end
        ) as odd_job_count,
        min(usual.job_count) as earlier_job_count,
        min(usual.day_count) as earlier_day_count

    from hours

    -- a team in its first days
    left join usual
        on hours.team_id = usual.team_id
    group by hours.team_id

)

select * from final
