{#-
    Grain: one row per source, status (401, 403, 429) and client, key or team that met it in the days before the
    moment, as counted. The worst scopes only, and whatever may be firing: at its clear threshold or beyond, or with thresholds
    of its own.
-#}
{%- set rules = {401: 'auth_failures', 403: 'unauthorized_access', 429: 'rate_limit_violations'} -%}
with

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
            when 403 then
                day_count >= {{ var('alert_forbidden_requests_clears') }}
                or denied_count >= {{ var('alert_model_denials_clears') }}
            else worst_count >= {{ var('alert_limited_requests_clears') }}
        end as may_fire,
        row_number() over (
            partition by status, scope_kind
            order by worst_count desc, day_count desc, remembered_count desc, scope_id asc, source_name asc
        ) as place

    from {{ ref('int_alert_refused_scopes') }}

),

final as (

    select
        ranked.*,
        -- a client is of no organization, whatever teams it asks for
        case when ranked.scope_kind <> 'client' then homes.organization_id end as organization_id

    from ranked

    -- most requests name no team
    left join {{ ref('dim_teams') }} as homes
        on ranked.only_team_id = homes.team_id

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
