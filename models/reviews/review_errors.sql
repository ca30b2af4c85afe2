{#- Grain: one row per review and class of failure seen in the period or in the one before. -#}
{{ replaced_when_reviewed() }}
with

reviews as (

    {% for start_date, is_before in [('period_start_date', 'false'), ('previous_period_start_date', 'true')] -%}
    select
        {{ review_keys() }},
        period_start_date,
        {{ start_date }} as failure_start_date,
        {{ is_before }} as is_before

    from {{ ref('int_reviews') }} as reviews
    where {{ is_made_anew('reviews') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

classes as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        failed.error_class,
        {%- for measure in ['failed_job_count', 'failed_call_count', 'wasted_cost_usd'] %}
        sum(case when not reviews.is_before then failed.{{ measure }} end) as {{ measure }},
        sum(case when reviews.is_before then failed.{{ measure }} end) as previous_{{ measure }},
        {%- endfor %}
        count(case when not reviews.is_before then 1 end) as row_count

    from reviews

    inner join {{ ref('int_scope_error_classes') }} as failed
        on
            {{ same_review('reviews', 'failed', period=false) }}
            and reviews.failure_start_date = failed.period_start_date

    group by {{ review_keys('reviews') }}, reviews.period_start_date, failed.error_class

),

job_types as (

    select
        {{ review_keys() }},
        period_start_date,
        error_class,
        job_type,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date, error_class
            order by sum(failed_job_count) desc, job_type asc
        ) as list_rank

    from {{ ref('int_scope_failures') }}
    group by {{ review_keys() }}, period_start_date, error_class, job_type
    having sum(failed_job_count) > 0

),

final as (

    select
        {{ review_keys('classes') }},
        classes.period_start_date,
        cast(row_number() over (
            partition by {{ review_keys('classes') }}, classes.period_start_date
            order by
                coalesce(classes.failed_job_count, 0) desc,
                coalesce(classes.failed_call_count, 0) desc,
                classes.error_class asc
        ) as integer) as list_position,
        classes.error_class,
        cast(coalesce(classes.failed_job_count, 0) as bigint) as failed_job_count,
        cast(coalesce(classes.previous_failed_job_count, 0) as bigint) as previous_failed_job_count,
        cast(coalesce(classes.failed_call_count, 0) as bigint) as failed_call_count,
        cast(coalesce(classes.previous_failed_call_count, 0) as bigint) as previous_failed_call_count,
        -- no failure cost nothing; failures of unknown cost are not known
        cast(case when classes.row_count = 0 then 0 else classes.wasted_cost_usd end as numeric(28, 8))
            as wasted_cost_usd,
        job_types.job_type as top_job_type

    from classes

    -- a class that failed calls and no job
    left join job_types
        on
            {{ same_review('classes', 'job_types') }}
            and classes.error_class = job_types.error_class
            and job_types.list_rank = 1

)

select * from final
