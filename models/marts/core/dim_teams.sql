{#- Grain: one row per team that exists or ever left a row, and the bucket `unassigned`. -#}
with

newest_versions as (

    select * from {{ ref('int_team_versions') }}
    where valid_to is null

),

sightings as (

    select
        team_id,
        organization_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at

    from {{ ref('int_sightings_by_day') }}
    group by team_id, organization_id

),

ranked as (

    select
        *,
        -- the latest that names an organization
        row_number() over (
            partition by team_id
            order by
                case when organization_id = 'unassigned' then 1 else 0 end asc,
                last_seen_at desc,
                organization_id asc
        ) as recency

    from sightings

),

seen as (

    select
        team_id,
        max(case when recency = 1 then organization_id end) as organization_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at

    from ranked
    group by team_id

),

teams as (

    select team_id from newest_versions
    union
    select team_id from seen
    union
    select 'unassigned' as team_id

),

final as (

    select
        teams.team_id,
        coalesce(newest_versions.organization_id, seen.organization_id, 'unassigned') as organization_id,
        newest_versions.status,
        newest_versions.budget_mode,
        newest_versions.markup_percentage,
        newest_versions.credits_per_dollar,
        newest_versions.tokens_per_credit,
        newest_versions.credit_limit,
        seen.first_seen_at,
        seen.last_seen_at,
        teams.team_id <> 'unassigned'
        and (newest_versions.team_id is null or newest_versions.missing_since is not null) as is_deleted

    from teams

    -- a team gone before the first landing
    left join newest_versions
        on teams.team_id = newest_versions.team_id

    -- a team that never did anything
    left join seen
        on teams.team_id = seen.team_id

)

select * from final
