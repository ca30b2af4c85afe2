{#-
    Grain: one row per admin who ever signed in and per team that is not deleted, and one for the platform where the sign-ins of
    admins are not landed.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
{%- set teams = {
    'new_call_count': [
        'int_alert_new_groups', 'calls to model groups that it never used, on a day far above its busiest', 'call_count',
        'coalesce(has_history and call_count > ' ~ var('alert_new_group_factor') ~ ' * busiest_count, false)', 'alert_new_group_calls',
    ],
    'odd_job_count': [
        'int_alert_odd_hours', 'jobs in hours in which it hardly ever works', 'job_count',
        'coalesce(earlier_job_count >= ' ~ var('alert_odd_hours_min_jobs') ~ ' and earlier_day_count >= '
        ~ var('alert_odd_hours_min_days') ~ ', false)', 'alert_odd_hours_jobs',
    ],
} -%}
with

scopes as (

    select * from {{ ref('int_alert_scopes') }}
    where scope_kind = 'team'

),

found as (

    select
        'admin_sessions' as source_name,
        'admin_user' as scope_kind,
        user_id as scope_id,
        display_name as scope_name,
        {{ no_text }} as organization_id,
        'sign-ins from an address that is new for the admin' as measure,
        new_address_count as observed_value,
        sign_in_count as volume,
        earlier_address_count <= earlier_count * {{ var('alert_sign_in_addresses_share') }} as is_supported,
        case
            when sign_in_count > 0 and earlier_count < {{ var('alert_sign_in_min_history') }}
                then 'fewer than {{ var("alert_sign_in_min_history") }} earlier sign-ins'
        end as unknown_reason,
        {{ var('alert_new_sign_ins') }} as own_threshold,
        {{ var('alert_new_sign_ins') }} as own_clear_threshold,
        true as takes_override

    from {{ ref('int_alert_sign_ins') }}
    {%- for column, (step, measure, volume, is_supported, threshold) in teams.items() %}

    union all

    select
        'platform' as source_name,
        'team' as scope_kind,
        scopes.scope_id,
        {{ no_text }} as scope_name,
        scopes.organization_id,
        '{{ measure }}' as measure,
        case when {{ is_supported }} then {{ column }} else 0 end as observed_value,
        coalesce({{ volume }}, 0) as volume,
        true as is_supported,
        {{ no_text }} as unknown_reason,
        {{ var(threshold) }} as own_threshold,
        {{ var(threshold) }} as own_clear_threshold,
        false as takes_override

    from scopes

    -- a team that did nothing
    left join {{ ref(step) }} as activity
        on scopes.scope_id = activity.team_id
    {%- endfor %}

),

{{ security_measured('found', ['admin_sessions'], 'suspicious_usage') }}

{{ alert_candidates_of(
    'measured',
    rule='suspicious_usage',
    fires='>=',
    threshold='fires_at',
    clear_threshold='clears_at',
    evidence={
        'sign-ins from an address that is new for the admin': evidence_of_sign_ins(),
        teams['new_call_count'][1]: evidence_of_new_groups(),
        teams['odd_job_count'][1]: evidence_of_odd_hours(),
    },
    takes_overrides=false,
    counted_unit="case measured.scope_kind when 'platform' then 'sources' when 'admin_user' then 'sign-ins' else 'calls or jobs' end",
) }}
