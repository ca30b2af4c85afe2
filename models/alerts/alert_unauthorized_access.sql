{#-
    Grain: one row per client and team that was refused what it may not do in the last days, one per team that is not
    deleted, and one for the platform where a source is missing.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
with

denials as (

    select
        team_id,
        max(organization_id) as organization_id,
        count(*) as denied_count

    from {{ ref('int_alert_jobs') }}
    where is_refused and created_at >= {{ evaluated_at() }} - {{ var('alert_security_hours') }} * interval '1 hour'
    group by team_id

),

teams as (

    select * from {{ ref('int_alert_scopes') }}
    where scope_kind = 'team'

),

found as (

    select
        'platform' as source_name,
        'team' as scope_kind,
        coalesce(teams.scope_id, denials.team_id) as scope_id,
        {{ no_text }} as scope_name,
        coalesce(denials.organization_id, teams.organization_id) as organization_id,
        'jobs that were denied their model in a day' as measure,
        coalesce(denials.denied_count, 0) as observed_value,
        cast(null as bigint) as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var('alert_model_denials') }} as own_threshold,
        {{ var('alert_model_denials_clears') }} as own_clear_threshold,
        false as takes_override

    from teams

    -- a team without any, or one that is deleted since
    full outer join denials
        on teams.scope_id = denials.team_id

    union all

    {{ refusals_measured(
        403, ['team'], 'requests{place} that were denied their model in a day', 'denied_count', 'alert_model_denials',
        sources=['litellm_failures'], takes_override=false,
    ) }}

    union all

    {{ refusals_measured(
        403, ['client', 'team'], 'forbidden requests (403){place} in a day', 'day_count', 'alert_forbidden_requests',
    ) }}

),

{{ security_measured('found', refusal_sources(), 'unauthorized_access') }}

{{ alert_candidates_of(
    'measured',
    rule='unauthorized_access',
    fires='>=',
    threshold='fires_at',
    clear_threshold='clears_at',
    evidence="select what, times, first_at, last_at from (select left(error_message, 200) as what, count(*) as times, "
    ~ "min(created_at) as first_at, max(created_at) as last_at from raw.jobs where team_id = $scope_id "
    ~ "and " ~ is_of_error_class("lower(error_message)", "model_denied", "alerts.error_classes")
    ~ " and created_at >= $window_start and created_at < $window_end group by left(error_message, 200) union all select coalesce(path, 'no path'), "
    ~ "count(*), min(happened_at), max(happened_at) from raw.access_log where status = 403 and $scope_id in (client, team_id) "
    ~ "and happened_at >= $window_start and happened_at < $window_end group by coalesce(path, 'no path') "
    ~ "union all select 'LiteLLM: model ' || coalesce(model_group, 'not said'), count(*), min(happened_at), max(happened_at) from "
    ~ litellm_refusals_of_scope() ~ " where failure_class in ('model_denied', 'forbidden') group by coalesce(model_group, 'not said')) as refused "
    ~ "order by times desc, what limit 5",
    takes_overrides=false,
    counted_unit="case measured.scope_kind when 'platform' then 'sources' else 'requests' end",
) }}
