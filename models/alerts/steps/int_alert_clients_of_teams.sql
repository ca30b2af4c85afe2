{#-
    Grain: one row per client whose authentication failed for a team in the last day: for how many teams within
    ten minutes at most.
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
            and minutes.minute_at > ends.minute_at - {{ var('alert_security_minutes') }} * interval '1 minute'
    group by ends.client, ends.minute_at

),

final as (

    select
        client,
        max(team_count) as team_count

    from within_minutes
    group by client

)

select * from final
