{#-
    Grain: one row per status (401, 403, 429) and client, key or team that met it in the days before the moment:
    of the last day its worst ten minutes, and how many there were in all. The worst scopes only, and whatever may
    be firing: at its clear threshold or beyond, or with thresholds of its own.
-#}
{%- set rules = {401: 'auth_failures', 403: 'unauthorized_access', 429: 'rate_limit_violations'} -%}
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

of_scope as (

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

),

own_thresholds as (

    select
        scope_kind,
        scope_id,
        rule

    from {{ ref('alert_overrides') }}

),

ranked as (

    select
        *,
        case status
            when 401 then worst_count >= {{ var('alert_auth_failures_clears') }}
            when 403 then day_count >= {{ var('alert_forbidden_requests_clears') }}
            else worst_count >= {{ var('alert_limited_requests_clears') }}
        end as may_fire,
        row_number() over (
            partition by status, scope_kind
            order by worst_count desc, day_count desc, remembered_count desc, scope_id asc
        ) as place

    from of_scope

),

final as (

    select ranked.*
    from ranked

    -- most scopes have the thresholds of the rule
    left join own_thresholds
        on
            ranked.scope_kind = own_thresholds.scope_kind
            and ranked.scope_id = own_thresholds.scope_id
            and own_thresholds.rule = case ranked.status
                {%- for status, rule in rules.items() %}
                when {{ status }} then '{{ rule }}'
                {%- endfor %}
            end
    where ranked.place <= {{ var('alert_security_scopes') }} or ranked.may_fire or own_thresholds.scope_id is not null

)

select * from final
