{#-
    Grain: one row per key and team that was refused for asking too often (429) in the last days, one per team that is not
    deleted, and one for the platform where there is no access log.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
with

teams as (

    select * from {{ ref('int_alert_scopes') }}
    where scope_kind = 'team'

),

limited as (

    select * from {{ ref('int_alert_limited_calls') }}

),

found as (

    select
        'platform' as source_name,
        'team' as scope_kind,
        coalesce(teams.scope_id, limited.team_id) as scope_id,
        {{ no_text }} as scope_name,
        coalesce(limited.organization_id, teams.organization_id) as organization_id,
        'calls that failed at a rate limit within ten minutes' as measure,
        coalesce(limited.worst_count, 0) as observed_value,
        coalesce(limited.day_count, 0) as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_limited_calls') }} as own_threshold,
        {{ var('alert_limited_calls_clears') }} as own_clear_threshold

    from teams

    -- a team without any, or one that is deleted since
    full outer join limited
        on teams.scope_id = limited.team_id

    union all

    select
        'access_log' as source_name,
        scope_kind,
        scope_id,
        {{ no_text }} as scope_name,
        organization_id,
        'refused requests (429) within ten minutes' as measure,
        worst_count as observed_value,
        day_count as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_limited_requests') }} as own_threshold,
        {{ var('alert_limited_requests_clears') }} as own_clear_threshold

    from {{ ref('int_alert_refusals') }}
    where status = 429 and scope_kind in ('key', 'team')

),

{{ security_measured('found', 'access_log') }}

{{ alert_candidates_of(
    'measured',
    rule='rate_limit_violations',
    fires='>=',
    threshold='own_threshold',
    clear_threshold='own_clear_threshold',
    evidence="select what, times, first_at, last_at from (select calls.model_group_used as what, count(*) as times, "
    ~ "min(calls.created_at) as first_at, max(calls.created_at) as last_at from raw.llm_calls as calls "
    ~ "inner join raw.jobs as jobs on calls.job_id = jobs.job_id where jobs.team_id = $scope_id "
    ~ "and " ~ is_of_error_class("lower(calls.error)", "rate_limit", "alerts.error_classes")
    ~ " and calls.created_at >= $window_start and calls.created_at < $window_end group by calls.model_group_used "
    ~ "union all select coalesce(path, 'no path'), count(*), min(happened_at), max(happened_at) from raw.access_log "
    ~ "where status = 429 and $scope_id in (key_id, team_id) and happened_at >= $window_start "
    ~ "and happened_at < $window_end group by coalesce(path, 'no path')) as refused order by times desc, what limit 5",
) }}
