{#-
    Grain: one row per client whose authentication failed for several teams in the last day: for how many within ten
    minutes at most, to the minute. The worst clients only, and whatever is at its threshold or beyond.
-#}
with

log_source as (

    select * from {{ ref('int_alert_security_sources') }}
    where source_name = 'access_log' and unknown_reason is null

),

minutes as (

    select distinct
        log_rows.client,
        log_rows.team_id,
        date_trunc('minute', log_rows.happened_at) as minute_at

    from {{ source('security', 'access_log') }} as log_rows
    cross join log_source
    where
        log_rows.status = 401
        and log_rows.client is not null
        and log_rows.team_id is not null
        and log_rows.happened_at < {{ evaluated_at() }}
        and log_rows.happened_at >= {{ evaluated_at() }} - {{ var('alert_security_hours') }} * interval '1 hour'

),

ends as (

    select distinct
        client,
        minute_at

    from minutes

),

within_minutes as (

    select
        ends.client,
        ends.minute_at,
        count(distinct minutes.team_id) as team_count

    from ends
    inner join minutes
        on
            ends.client = minutes.client
            and minutes.minute_at <= ends.minute_at
            and minutes.minute_at >= ends.minute_at - {{ var('alert_security_minutes') }} * interval '1 minute'
    group by ends.client, ends.minute_at

),

of_client as (

    select
        client,
        max(team_count) as team_count

    from within_minutes
    group by client

),

ranked as (

    select
        client,
        team_count,
        row_number() over (order by team_count desc, client asc) as place

    from of_client
    where team_count > 1

),

final as (

    select
        client,
        team_count

    from ranked
    where place <= {{ var('alert_security_scopes') }} or team_count >= {{ var('alert_auth_failure_teams') }}

)

select * from final
