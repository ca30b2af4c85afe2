{#-
    Grain: one row per scope, team, day, measure and night that restated it, of what the
    scope may see. A day is the organization's that the team belonged to at its end.
-#}
with

restatements as (

    select
        *,
        {{ day_start("cast(period_start_date + interval '1 day' as date)") }} as day_ends_at

    from {{ ref('restatements') }}
    where difference <> 0

),

restated as (

    select
        restatements.*,
        versions.organization_id

    from restatements

    -- a team gone before the first landing
    left join {{ ref('int_team_versions') }} as versions
        on
            restatements.team_id = versions.team_id
            and versions.valid_from < restatements.day_ends_at
            and (versions.valid_to >= restatements.day_ends_at or versions.valid_to is null)

),

final as (

    {% for scope_kind, key in [('platform', "'platform'"), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ key }} as scope_id,
        team_id,
        period_start_date as restated_date,
        measure,
        difference,
        cause,
        restated_as_of

    from restated
    {%- if scope_kind != 'platform' %}
    where measure <> 'provider_cost_usd'
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
