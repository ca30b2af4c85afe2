{#-
    Grain: one row per platform, organization and team that had a day without a job in the baseline's weeks:
    the silence that it is in, if it is, with the jobs that those days usually have; its longest before, and
    all its silent days before.
-#}
with

daily as (

    select * from {{ ref('int_alert_daily_values') }}
    where measure = 'jobs'

),

moment as (

    select * from {{ ref('int_alert_moment') }}

),

weekdays as (

    select
        scope_kind,
        scope_id,
        weekday,
        {{ exact_ratio('sum(value)', 'count(*)', 8) }} as average_jobs

    from daily
    group by scope_kind, scope_id, weekday

),

-- each day with the last one before it that had a job
runs as (

    select
        daily.scope_kind,
        daily.scope_id,
        daily.value_date,
        daily.value,
        weekdays.average_jobs,
        max(case when daily.value > 0 then daily.value_date end) over (
            partition by daily.scope_kind, daily.scope_id
            order by daily.value_date
            rows between unbounded preceding and current row
        ) as last_active_date

    from daily
    inner join weekdays
        on
            daily.scope_kind = weekdays.scope_kind
            and daily.scope_id = weekdays.scope_id
            and daily.weekday = weekdays.weekday

),

silences as (

    select
        runs.scope_kind,
        runs.scope_id,
        runs.last_active_date,
        count(*) as silent_days,
        max(runs.value_date) as last_silent_date,
        sum(runs.average_jobs) as missed_jobs

    from runs
    where runs.value = 0
    group by runs.scope_kind, runs.scope_id, runs.last_active_date

),

final as (

    select
        silences.scope_kind,
        silences.scope_id,
        max(case when silences.last_silent_date = moment.last_complete_date then silent_days end) as silent_days,
        max(
            case when silences.last_silent_date = moment.last_complete_date then missed_jobs end
        ) as missed_jobs,
        max(
            case when silences.last_silent_date < moment.last_complete_date then silent_days end
        ) as longest_silent_days,
        sum(
            case when silences.last_silent_date < moment.last_complete_date then silent_days else 0 end
        ) as earlier_silent_days

    from silences
    cross join moment
    group by silences.scope_kind, silences.scope_id

)

select * from final
