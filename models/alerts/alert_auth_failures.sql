{#-
    Grain: one row per client, key and team whose authentication failed in the last days, or one for the platform where
    there is no access log.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
with

found as (

    select
        'access_log' as source_name,
        scope_kind,
        scope_id,
        {{ no_text }} as scope_name,
        organization_id,
        'failed authentications within ten minutes' as measure,
        worst_count as observed_value,
        day_count as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_auth_failures') }} as own_threshold,
        {{ var('alert_auth_failures_clears') }} as own_clear_threshold

    from {{ ref('int_alert_refusals') }}
    where status = 401

    union all

    select
        'access_log' as source_name,
        'client' as scope_kind,
        client as scope_id,
        {{ no_text }} as scope_name,
        {{ no_text }} as organization_id,
        'teams that one client failed to authenticate as within ten minutes' as measure,
        team_count as observed_value,
        cast(null as bigint) as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_auth_failure_teams') }} as own_threshold,
        {{ var('alert_auth_failure_teams') }} as own_clear_threshold

    from {{ ref('int_alert_clients_of_teams') }}

),

{{ security_measured('found', 'access_log') }}

{{ alert_candidates_of(
    'measured',
    rule='auth_failures',
    fires='>=',
    threshold='own_threshold',
    clear_threshold='own_clear_threshold',
    evidence="select client, key_id, team_id, path, count(*) as failures, min(happened_at) as first_at, "
    ~ "max(happened_at) as last_at from raw.access_log where status = 401 "
    ~ "and $scope_id in (client, key_id, team_id) and happened_at >= $window_start and happened_at < $window_end "
    ~ "group by client, key_id, team_id, path order by failures desc, client, path limit 5",
) }}
