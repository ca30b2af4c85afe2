{#-
    Grain: one row per admin who ever signed in: sign-ins of the last day from an address that is new for them, and
    whether their addresses so far are so few that a new one says something.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
with

admin_source as (

    select * from {{ ref('int_alert_security_sources') }}
    where source_name = 'admin_sessions' and unknown_reason is null

),

sessions as (

    select
        sessions.user_id,
        sessions.ip_address,
        sessions.created_at,
        sessions.created_at >= {{ day_ago }} as is_recent,
        count(*) over (
            partition by sessions.user_id order by sessions.created_at, sessions.session_id
            rows between unbounded preceding and 1 preceding
        ) as earlier_count,
        row_number() over (
            partition by sessions.user_id, sessions.ip_address order by sessions.created_at, sessions.session_id
        ) as place_of_address

    from {{ source('security', 'admin_sessions') }} as sessions
    cross join admin_source
    where
        sessions.created_at < {{ evaluated_at() }}
        and sessions.ip_address is not null

),

final as (

    select
        sessions.user_id,
        max(users.display_name) as display_name,
        count(case when is_recent and place_of_address = 1 then 1 end) as new_address_count,
        count(case when is_recent then 1 end) as sign_in_count,
        count(case when not is_recent then 1 end) as earlier_count,
        count(case when not is_recent and place_of_address = 1 then 1 end) as earlier_address_count

    from sessions

    -- one that the platform has deleted
    left join {{ source('security', 'admin_users') }} as users
        on sessions.user_id = users.user_id
    group by sessions.user_id

)

select * from final
