{#-
    Grain: one row per key and team that was refused for asking too often (429) in the last days, one per team that is not
    deleted, and one for the platform where a source is missing.
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
        {{ var('alert_limited_calls_clears') }} as own_clear_threshold,
        false as takes_override

    from teams

    -- a team without any, or one that is deleted since
    full outer join limited
        on teams.scope_id = limited.team_id

    union all

    {{ refusals_measured(
        429, ['key', 'team'], 'refused requests (429){place} within ten minutes', 'worst_count', 'alert_limited_requests',
    ) }}

),

{{ security_measured('found', refusal_sources(), 'rate_limit_violations') }}

{{ alert_candidates_of(
    'measured',
    rule='rate_limit_violations',
    fires='>=',
    threshold='fires_at',
    clear_threshold='clears_at',
    evidence="select what, times, first_at, last_at from (select calls.model_group_used as what, count(*) as times, "
    ~ "min(calls.created_at) as first_at, max(calls.created_at) as last_at from raw.llm_calls as calls "
    ~ "inner join raw.jobs as jobs on calls.job_id = jobs.job_id where jobs.team_id = $scope_id "
    ~ "and " ~ is_of_error_class("lower(calls.error)", "rate_limit", "alerts.error_classes")
    ~ " and calls.created_at >= $window_start and calls.created_at < $window_end group by calls.model_group_used "
    ~ "union all select coalesce(path, 'no path'), count(*), min(happened_at), max(happened_at) from raw.access_log "
    ~ "where status = 429 and $scope_id in (key_id, team_id) and happened_at >= $window_start "
    ~ "and happened_at < $window_end group by coalesce(path, 'no path') "
    ~ "union all select 'LiteLLM: model ' || coalesce(model_group, 'not said'), count(*), min(happened_at), max(happened_at) from "
    ~ litellm_refusals_of_scope() ~ " where failure_class = 'rate_limit' group by coalesce(model_group, 'not said')) as refused "
    ~ "order by times desc, what limit 5",
    takes_overrides=false,
    counted_unit="case when measured.scope_kind = 'platform' then 'sources' when measured.measure like 'calls%' then 'calls' "
    ~ "else 'requests' end",
) }}
