{#- Grain: one row per review of a period some of whose jobs are stuck. -#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

stuck as (

    select * from {{ ref('int_stuck_jobs_by_day') }}

),

of_periods as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        {{ period_start('job_date', period_type) }} as period_start_date,
        organization_id,
        team_id,
        job_type,
        sum(job_count) as job_count

    from stuck
    group by {{ period_start('job_date', period_type) }}, organization_id, team_id, job_type
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

of_scopes as (

    {% for scope_kind, key in [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        review_kind,
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        period_start_date,
        job_type,
        job_count

    from of_periods
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(sum(of_scopes.job_count) as bigint) as job_count,
        min(of_scopes.job_type) as job_type,
        count(distinct of_scopes.job_type) as job_type_count

    from reviews

    inner join of_scopes
        on {{ same_review('reviews', 'of_scopes') }}

    group by {{ review_keys('reviews') }}, reviews.period_start_date

)

select * from final
