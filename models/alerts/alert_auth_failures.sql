{#-
    Grain: one row per client, key and team whose authentication failed in the last days, and one for the platform where
    a source is missing.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
with

found as (

    {{ refusals_measured(
        401, ['client', 'key', 'team'], 'failed authentications{place} within ten minutes', 'worst_count', 'alert_auth_failures',
    ) }}
    {%- for source_name, place in refusal_sources().items() %}

    union all

    select
        source_name,
        'client' as scope_kind,
        client as scope_id,
        {{ no_text }} as scope_name,
        {{ no_text }} as organization_id,
        'teams that one client failed to authenticate as{{ place }} within ten minutes' as measure,
        team_count as observed_value,
        cast(null as bigint) as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_auth_failure_teams') }} as own_threshold,
        {{ var('alert_auth_failure_teams') }} as own_clear_threshold,
        false as takes_override

    from {{ ref('int_alert_clients_of_teams') }}
    where source_name = '{{ source_name }}'
    {%- endfor %}

),

{{ security_measured('found', refusal_sources(), 'auth_failures') }}

{{ alert_candidates_of(
    'measured',
    rule='auth_failures',
    fires='>=',
    threshold='fires_at',
    clear_threshold='clears_at',
    evidence="select client, key_id, team_id, path, count(*) as failures, min(happened_at) as first_at, "
    ~ "max(happened_at) as last_at from (select client, key_id, team_id, path, happened_at from raw.access_log where status = 401 "
    ~ "and $scope_id in (client, key_id, team_id) and happened_at >= $window_start and happened_at < $window_end "
    ~ "union all select client, key_id, team_id, 'LiteLLM: ' || coalesce(error_class, error_code, 'no class'), happened_at from "
    ~ litellm_refusals_of_scope() ~ " where failure_class = 'authentication') as seen "
    ~ "group by client, key_id, team_id, path order by failures desc, client, path limit 5",
    takes_overrides=false,
    counted_unit="case measured.scope_kind when 'platform' then 'sources' else 'requests' end",
) }}
