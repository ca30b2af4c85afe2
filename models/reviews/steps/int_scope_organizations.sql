{#- Grain: one row per tenant (organization, team) whose organization has a name. -#}
with

organizations as (

    select
        organization_id,
        organization_name

    from {{ ref('dim_organizations') }}
    where
        organization_id <> 'unassigned'
        and organization_name is not null

),

final as (

    select
        'organization' as scope_kind,
        organization_id as scope_id,
        organization_name

    from organizations

    union all

    select
        'team' as scope_kind,
        teams.team_id as scope_id,
        organizations.organization_name

    from {{ ref('dim_teams') }} as teams

    inner join organizations
        on teams.organization_id = organizations.organization_id

)

select * from final
