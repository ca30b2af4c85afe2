{#- Grain: one row per review of a period some of whose jobs are stuck. -#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

stuck as (

    select
        organization_id,
        team_id,
        job_type,
        job_date,
        count(*) as job_count

    from {{ ref('fct_jobs') }}
    where is_stuck
    group by organization_id, team_id, job_type, job_date

),

stuck_jobs as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(sum(stuck.job_count) as bigint) as job_count,
        min(stuck.job_type) as job_type,
        count(distinct stuck.job_type) as job_type_count

    from reviews

    inner join stuck
        on
            reviews.period_start_date <= stuck.job_date
            and reviews.period_end_date > stuck.job_date
            and case reviews.scope_kind
                when 'platform' then reviews.scope_id
                when 'organization' then stuck.organization_id
                else stuck.team_id
            end = reviews.scope_id

    group by {{ review_keys('reviews') }}, reviews.period_start_date

)

select * from stuck_jobs
