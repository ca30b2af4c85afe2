{#-
    Grain: one row per job created before as_of, with the organization it belongs to.

    The platform never writes jobs.organization_id, so it is found: the job's own, else
    its team's at that time, else the one on the team's ledger rows.
-#}
{{ config(tags=['each_build']) }}
with

jobs as (

    select
        job_id,
        team_id,
        organization_id,
        user_id,
        job_type,
        status,
        error_message,
        is_credit_applied,
        created_at,
        started_at,
        completed_at

    from {{ ref('stg_saas__jobs') }}
    where
        {{ exists_at_as_of('created_at') }}
        and {{ is_touched('created_at', 'read') }}

),

team_versions as (

    select
        team_id,
        organization_id,
        valid_from,
        valid_to

    from {{ ref('int_team_versions') }}

),

ledger_organizations as (

    select
        team_id,
        organization_id,
        valid_from,
        valid_to

    from {{ ref('int_ledger_organizations') }}

),

final as (

    select
        jobs.job_id,
        jobs.team_id,
        coalesce(
            jobs.organization_id,
            team_versions.organization_id,
            ledger_organizations.organization_id,
            'unassigned'
        ) as organization_id,
        jobs.user_id,
        jobs.job_type,
        jobs.status,
        case
            when jobs.status in ('completed', 'failed', 'cancelled') then jobs.status
            when jobs.status in ('pending', 'in_progress') then 'open'
            else 'other'
        end as outcome,
        jobs.error_message,
        jobs.is_credit_applied,
        jobs.created_at,
        jobs.started_at,
        jobs.completed_at

    from jobs

    -- a team gone before the first landing has no version
    left join team_versions
        on
            jobs.team_id = team_versions.team_id
            and jobs.created_at >= team_versions.valid_from
            and (jobs.created_at < team_versions.valid_to or team_versions.valid_to is null)

    left join ledger_organizations
        on
            jobs.team_id = ledger_organizations.team_id
            and jobs.created_at >= ledger_organizations.valid_from
            and (jobs.created_at < ledger_organizations.valid_to or ledger_organizations.valid_to is null)

)

select * from final
