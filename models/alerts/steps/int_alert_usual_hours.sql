{#-
    Grain: one row per team and hour of a working day or of a weekend (UTC) in which it has worked in the weeks before the
    last day: its jobs, and those of the team and on how many days.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
with

jobs as (

    select
        team_id,
        {{ iso_part('isodow', 'created_at') }} >= 6 as is_weekend,
        cast(extract(hour from created_at) as integer) as hour_of_day,
        cast(created_at as date) as job_date

    from {{ ref('fct_jobs') }}
    where
        created_at < {{ day_ago }}
        and created_at >= {{ day_ago }} - 7 * {{ var('alert_spike_weeks') }} * interval '1 day'

),

teams as (

    select
        team_id,
        count(*) as team_job_count,
        count(distinct job_date) as team_day_count

    from jobs
    group by team_id

),

final as (

    select
        jobs.team_id,
        jobs.is_weekend,
        jobs.hour_of_day,
        count(*) as job_count,
        max(teams.team_job_count) as team_job_count,
        max(teams.team_day_count) as team_day_count

    from jobs
    inner join teams
        on jobs.team_id = teams.team_id
    group by jobs.team_id, jobs.is_weekend, jobs.hour_of_day

)

select * from final
