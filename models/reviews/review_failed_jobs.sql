{#- Grain: one row per team's review and place: the latest jobs of its period that failed, by their ids. -#}
{{ replaced_when_reviewed() }}
with

failed_jobs as (

    select
        team_id,
        job_id,
        job_type,
        error_class,
        created_at,
        call_count,
        client_cost_usd,
        job_date

    from {{ ref('fct_jobs') }}
    where
        outcome = 'failed'
        and job_date >= {{ tenants_reviewed_from() }}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(row_number() over (
            partition by {{ review_keys('reviews') }}, reviews.period_start_date
            order by failed_jobs.created_at desc, failed_jobs.job_id asc
        ) as integer) as list_position,
        failed_jobs.job_id,
        failed_jobs.job_type,
        failed_jobs.error_class,
        failed_jobs.created_at,
        cast(failed_jobs.call_count as bigint) as call_count,
        failed_jobs.client_cost_usd

    from {{ ref('int_reviews') }} as reviews

    inner join failed_jobs
        on
            reviews.scope_id = failed_jobs.team_id
            and reviews.period_start_date <= failed_jobs.job_date
            and reviews.period_end_date > failed_jobs.job_date

    where
        reviews.scope_kind = 'team'
        and {{ is_made_anew('reviews') }}

)

select * from final
where list_position <= {{ review_rule('listed_failed_jobs') }}
