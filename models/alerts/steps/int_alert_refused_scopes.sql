{#-
    Grain: one row per source, status (401, 403, 429) and client, key or team that met it in the days before the
    moment: of the last day its worst ten minutes, how many there were in all, and how many were denied their model.
-#}
{%- set day_ago = evaluated_at() ~ " - " ~ var('alert_security_hours') ~ " * interval '1 hour'" -%}
with

refused as (

    select
        *,
        happened_at >= {{ day_ago }} as is_recent

    from {{ ref('int_alert_refused_requests') }}

),

scoped as (
    {%- for kind, column in {'client': 'client', 'key': 'key_id', 'team': 'team_id'}.items() %}
    select
        '{{ kind }}' as scope_kind,
        {{ column }} as scope_id,
        source_name,
        status,
        is_model_denied,
        happened_at,
        team_id as refused_team_id,
        is_recent

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
            partition by source_name, status, scope_kind, scope_id
            order by happened_at
            range between interval '{{ var("alert_security_minutes") }} minutes' preceding and current row
        ) as window_count

    from scoped

),

final as (

    select
        source_name,
        status,
        scope_kind,
        scope_id,
        coalesce(max(case when is_recent then window_count end), 0) as worst_count,
        count(case when is_recent then 1 end) as day_count,
        count(case when is_recent and is_model_denied then 1 end) as denied_count,
        max(window_count) as remembered_count,
        max(case when is_recent then happened_at end) as last_at,
        case when min(refused_team_id) = max(refused_team_id) then max(refused_team_id) end as only_team_id

    from windows
    group by source_name, status, scope_kind, scope_id

)

select * from final
