{#-
    Grain: one row per team with jobs in the last day: those in hours in which it hardly ever works. An hour is one of a
    working day or of a weekend (UTC), with the hour before and after it.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
with

jobs as (

    select
        team_id,
        {{ iso_part('isodow', 'created_at') }} >= 6 as is_weekend,
        cast(extract(hour from created_at) as integer) as hour_of_day

    from {{ ref('int_alert_jobs') }}
    where created_at >= {{ day_ago }}

),

recent as (

    select
        team_id,
        is_weekend,
        hour_of_day,
        count(*) as job_count

    from jobs
    group by team_id, is_weekend, hour_of_day

),

usual_hours as (

    select * from {{ ref('int_alert_usual_hours') }}

),

hours as (

    select
        recent.team_id,
        recent.job_count,
        max(usual_hours.team_job_count) as earlier_job_count,
        max(usual_hours.team_day_count) as earlier_day_count,
        coalesce(
            sum(
                case
                    when
                        recent.is_weekend = usual_hours.is_weekend
                        and abs(recent.hour_of_day - usual_hours.hour_of_day) in (0, 1, 23)
                        then usual_hours.job_count
                end
            ), 0
        ) as earlier_count

    from recent

    -- a team in its first days
    left join usual_hours
        on recent.team_id = usual_hours.team_id
    group by recent.team_id, recent.is_weekend, recent.hour_of_day, recent.job_count

),

final as (

    select
        team_id,
        sum(job_count) as job_count,
        sum(
            case when earlier_count <= earlier_job_count * {{ var('alert_odd_hours_share') }} then job_count else 0 end
        ) as odd_job_count,
        max(earlier_job_count) as earlier_job_count,
        max(earlier_day_count) as earlier_day_count

    from hours
    group by team_id

)

select * from final
