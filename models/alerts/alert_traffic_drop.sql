{#-
    Grain: one row per platform, organization and team that is not deleted or suspended, on the last complete
    day.

    A large scope has fallen when its day has far fewer jobs than its weekday, or far fewer calls: jobs may come that
    no longer call; the row is of the one that is farther below. A small one has days without a job by chance: it
    has fallen silent when the silence is longer than any before, and the silent days would usually have had so many
    jobs that chance does not explain it.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

teams as (

    select
        team_id,
        status

    from {{ source('saas', 'team_credits') }}

),

judged as (

    select * from {{ ref('int_alert_traffic_falls') }}
    where place = 1

),

measured as (

    select
        judged.scope_kind,
        judged.scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        judged.organization_id,
        case
            when judged.silent_days > 1 then judged.silent_days || ' days without a job, fall below the usual'
            else 'fall of ' || judged.measure || ' below the usual'
        end as measure,
        judged.fall_share as observed_value,
        judged.usual_value as baseline_value,
        cast(judged.value as bigint) as volume,
        judged.measure as value_unit,
        judged.value as actual_value,
        -- from the first silent day on
        {{ day_start('(judged.value_date + 1 - cast(greatest(judged.silent_days, 1) as integer))') }} as window_start,
        {{ day_start('(judged.value_date + 1)') }} as window_end,
        moment.last_complete_until as data_as_of,
        case
            when teams.status <> 'active' then 'the team is ' || teams.status
            when judged.day_count < {{ var('alert_baseline_min_days') }}
                then 'fewer than {{ var("alert_baseline_min_days") }} days of history'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        judged.is_silent or judged.has_fallen as is_supported,
        judged.fires_above,
        judged.clears_at

    from judged
    cross join moment

    left join teams
        on
            judged.scope_kind = 'team'
            and judged.scope_id = teams.team_id

    -- a deleted team is silent for good
    where judged.scope_kind <> 'team' or teams.team_id is not null

)

{{ alert_candidates_of(
    'measured',
    rule='traffic_drop',
    fires='>',
    threshold='fires_above',
    clear_threshold='clears_at',
    evidence="select period_start_date, sum(job_count) as jobs, sum(call_count) as calls "
    ~ "from marts.team_usage_daily as days inner join marts.dim_teams as teams on days.team_id = teams.team_id "
    ~ "where $scope_id in ('platform', teams.organization_id, days.team_id) "
    ~ "and days.period_start_date < cast($window_end as date) "
    ~ "group by period_start_date order by period_start_date desc limit 5",
    takes_overrides=false,
    counted_unit='measured.value_unit',
    actual_value='measured.actual_value',
) }}
