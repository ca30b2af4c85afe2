{#-
    Grain: one row per status (401, 403, 429) and client, key or team that met it in the days before the moment:
    of the last day its worst ten minutes, and how many there were in all.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
with

log_source as (

    select * from {{ ref('int_alert_security_sources') }}
    where source_name = 'access_log' and unknown_reason is null

),

refused as (

    select
        log_rows.status,
        log_rows.happened_at,
        log_rows.client,
        log_rows.key_id as client_key,
        log_rows.team_id as team,
        log_rows.team_id as refused_team_id,
        log_rows.happened_at >= {{ day_ago }} as is_recent

    from {{ source('security', 'access_log') }} as log_rows
    cross join log_source
    where
        log_rows.status in (401, 403, 429)
        and log_rows.happened_at < {{ evaluated_at() }}
        and log_rows.happened_at >= {{ evaluated_at() }} - {{ var('alert_security_memory_hours') }} * interval '1 hour'

),

scoped as (
    {%- for kind, column in {'client': 'client', 'key': 'client_key', 'team': 'team'}.items() %}
    select
        '{{ kind }}' as scope_kind, {{ column }} as scope_id, status, happened_at, refused_team_id, is_recent
    from refused
    where {{ column }} is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

windows as (

    select
        *,
        count(*) over (
            partition by status, scope_kind, scope_id
            order by happened_at
            range between interval '{{ var("alert_security_minutes") }} minutes' preceding and current row
        ) as window_count

    from scoped

),

final as (

    select
        status,
        scope_kind,
        scope_id,
        coalesce(max(case when is_recent then window_count end), 0) as worst_count,
        count(case when is_recent then 1 end) as day_count,
        max(window_count) as remembered_count,
        max(case when is_recent then happened_at end) as last_at,
        case when min(refused_team_id) = max(refused_team_id) then max(refused_team_id) end as only_team_id

    from windows
    group by status, scope_kind, scope_id

)

select * from final
