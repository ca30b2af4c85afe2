{#-
    Grain: one row per review and thing in its costs that asks for a person: job types whose
    failures cost money, a model that a cheaper one of its group stands beside, a team that
    costs more than it pays (the platform's to see).
-#}
with

job_types as (

    select
        {{ review_keys() }},
        period_start_date,
        job_type,
        sum(failed_job_count) as failed_job_count,
        sum(wasted_cost_usd) as wasted_cost_usd

    from {{ ref('int_scope_failures') }}
    group by {{ review_keys() }}, period_start_date, job_type

),

failures as (

    select
        {{ review_keys('job_types') }},
        job_types.period_start_date,
        'failures_cost' as rule,
        job_types.job_type as subject,
        cast(null as {{ dbt.type_string() }}) as other,
        job_types.failed_job_count as count,
        job_types.wasted_cost_usd as amount,
        cast(null as numeric(28, 8)) as other_amount,
        parts.failure_rate as share

    from job_types

    -- a job type below the list has no rate of its own
    left join {{ ref('review_parts') }} as parts
        on
            {{ same_review('job_types', 'parts') }}
            and parts.dimension = 'job_type'
            and job_types.job_type = parts.part_name

    where
        job_types.failed_job_count > 0
        and job_types.wasted_cost_usd >= {{ review_rule('failure_cost_usd') }}

),

losses as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        'platform' as scope_kind,
        'platform' as scope_id,
        period_start_date,
        'margin_negative' as rule,
        team_id as subject,
        cast(null as {{ dbt.type_string() }}) as other,
        cast(null as bigint) as count,
        sum(margin_usd) as amount,
        cast(null as numeric(28, 8)) as other_amount,
        cast(null as numeric(18, 6)) as share

    from {{ ref('revenue_' ~ kind) }}
    group by period_start_date, team_id
    having sum(margin_usd) <= -0.01
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

decisions as (

    select * from failures
    union all
    select * from losses
    union all
    select * from {{ ref('int_costly_models') }}

),

final as (

    select decisions.*

    from decisions

    inner join {{ ref('int_reviews') }} as reviews
        on {{ same_review('decisions', 'reviews') }}

    where reviews.is_complete

)

select * from final
