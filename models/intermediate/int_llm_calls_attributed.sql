{#-
    Grain: one row per call created before as_of, with its job's tenant, the mark-up in
    force when it ended and the provider cost that is known.
-#}
with

calls as (

    select * from {{ ref('int_llm_calls_checked') }}

),

jobs as (

    select
        job_id,
        team_id,
        organization_id,
        job_type,
        outcome

    from {{ ref('int_jobs_attributed') }}

),

team_versions as (

    select
        team_id,
        markup_percentage,
        valid_from,
        valid_to

    from {{ ref('int_team_versions') }}

),

final as (

    select
        calls.*,
        coalesce(jobs.team_id, 'unassigned') as team_id,
        coalesce(jobs.organization_id, 'unassigned') as organization_id,
        coalesce(jobs.job_type, 'unassigned') as job_type,
        coalesce(jobs.outcome = 'failed', false) as is_of_failed_job,
        team_versions.markup_percentage,
        case
            when calls.has_unusable_provider_cost then null
            when calls.provider_cost_usd > 0 then calls.provider_cost_usd
            when calls.has_unusable_legacy_cost then null
            when calls.cost_usd > 0 then calls.cost_usd
            when calls.is_failed then 0
        end as known_provider_cost_usd

    from calls

    -- a call without its job belongs to nobody, and still counts
    left join jobs
        on calls.job_id = jobs.job_id

    left join team_versions
        on
            jobs.team_id = team_versions.team_id
            and calls.created_at >= team_versions.valid_from
            and (calls.created_at < team_versions.valid_to or team_versions.valid_to is null)

)

select * from final
