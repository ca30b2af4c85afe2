{#-
    Grain: one row per source and client whose authentication failed for several teams in the last day: for how many
    within ten minutes at most, to the minute. The worst clients only, and whatever is at its threshold or beyond.
-#}
with

minutes as (

    select distinct
        source_name,
        client,
        team_id,
        date_trunc('minute', happened_at) as minute_at

    from {{ ref('int_alert_refused_requests') }}
    where
        status = 401
        and client is not null
        and team_id is not null
        and happened_at >= {{ evaluated_at() }} - {{ var('alert_security_hours') }} * interval '1 hour'

),

ends as (

    select distinct
        source_name,
        client,
        minute_at

    from minutes

),

within_minutes as (

    select
        ends.source_name,
        ends.client,
        ends.minute_at,
        count(distinct minutes.team_id) as team_count

    from ends
    inner join minutes
        on
            ends.source_name = minutes.source_name
            and ends.client = minutes.client
            and minutes.minute_at <= ends.minute_at
            and minutes.minute_at >= ends.minute_at - {{ var('alert_security_minutes') }} * interval '1 minute'
    group by ends.source_name, ends.client, ends.minute_at

),

of_client as (

    select
        source_name,
        client,
        max(team_count) as team_count

    from within_minutes
    group by source_name, client

),

ranked as (

    select
        source_name,
        client,
        team_count,
        row_number() over (order by team_count desc, client asc, source_name asc) as place

    from of_client
    where team_count > 1

),

final as (

    select
        source_name,
        client,
        team_count

    from ranked
    where place <= {{ var('alert_security_scopes') }} or team_count >= {{ var('alert_auth_failure_teams') }}

)

select * from final
