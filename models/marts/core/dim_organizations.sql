{#- Grain: one row per organization that exists or ever left a row, and the bucket `unassigned`. -#}
with

versions as (

    select
        organization_id,
        organization_name,
        status,
        missing_since,
        row_number() over (partition by organization_id order by valid_from desc) as recency

    from {{ ref('stg_saas__organization_versions') }}

),

seen as (

    select
        organization_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at

    from {{ ref('int_sightings_by_day') }}
    group by organization_id

),

organizations as (

    select organization_id from versions
    union
    select organization_id from seen
    union
    select organization_id from {{ ref('dim_teams') }}
    union
    select 'unassigned' as organization_id

),

final as (

    select
        organizations.organization_id,
        case
            when organizations.organization_id = 'unassigned' then 'Unassigned' else versions.organization_name
        end as organization_name,
        versions.status,
        seen.first_seen_at,
        seen.last_seen_at,
        organizations.organization_id <> 'unassigned'
        and (versions.organization_id is null or versions.missing_since is not null) as is_deleted

    from organizations

    -- an organization gone before the first landing
    left join versions
        on
            organizations.organization_id = versions.organization_id
            and versions.recency = 1

    left join seen
        on organizations.organization_id = seen.organization_id

)

select * from final
