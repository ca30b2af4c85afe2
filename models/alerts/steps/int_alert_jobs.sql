{#-
    Grain: one row per job created in the seven days before the moment of evaluation, with its organization.

    From the landed rows, which are newer than the marts. The organization is found as for the marts, except
    that a team which they do not know yet belongs where it is now.
-#}
with

jobs as (

    select
        job_id,
        team_id,
        organization_id,
        job_type,
        {{ lower_ascii('status') }} as status,
        error_message,
        created_at

    from {{ source('saas', 'jobs') }}
    where
        created_at < {{ evaluated_at() }}
        and created_at >= {{ evaluated_at() }} - interval '7 days'

),

team_versions as (

    select
        team_id,
        organization_id,
        valid_from,
        valid_to

    from {{ ref('dim_teams_history') }}

),

teams as (

    select
        team_id,
        organization_id

    from {{ source('saas', 'team_credits') }}

),

refused as (

    select distinct
        jobs.job_id,
        true as is_refused

    from jobs
    inner join {{ ref('error_classes') }} as refusals
        on
            refusals.error_class = 'model_denied'
            and {{ lower_ascii('jobs.error_message') }} like refusals.pattern

),

final as (

    select
        jobs.job_id,
        jobs.team_id,
        coalesce(
            jobs.organization_id, team_versions.organization_id, teams.organization_id, 'unassigned'
        ) as organization_id,
        jobs.job_type,
        jobs.status in ('completed', 'failed', 'cancelled') as is_finished,
        jobs.status = 'failed' as is_failed,
        coalesce(refused.is_refused, false) as is_refused,
        jobs.created_at

    from jobs

    -- a team gone before the first landing has no version
    left join team_versions
        on
            jobs.team_id = team_versions.team_id
            and jobs.created_at >= team_versions.valid_from
            and (jobs.created_at < team_versions.valid_to or team_versions.valid_to is null)

    -- most jobs are not refused
    left join refused
        on jobs.job_id = refused.job_id

    -- a deleted team
    left join teams
        on jobs.team_id = teams.team_id

)

select * from final
