{#- Grain: one row per complete week and class of failure seen in it or in the week before. -#}
with

classes as (

    {{ beside_previous_week(
        ref('error_breakdown_weekly'),
        ['error_class'],
        ['failed_job_count', 'failed_call_count', 'wasted_cost_usd'],
        ['failed_job_count', 'failed_call_count'],
    ) }}

),

job_types as (

    select
        period_start_date,
        error_class,
        job_type,
        row_number() over (
            partition by period_start_date, error_class
            order by sum(failed_job_count) desc, job_type asc
        ) as list_rank

    from {{ ref('error_breakdown_weekly') }}
    group by period_start_date, error_class, job_type
    having sum(failed_job_count) > 0

),

final as (

    select
        classes.period_start_date,
        cast(row_number() over (
            partition by classes.period_start_date
            order by classes.failed_job_count desc, classes.failed_call_count desc, classes.error_class asc
        ) as integer) as list_position,
        classes.error_class,
        cast(classes.failed_job_count as bigint) as failed_job_count,
        cast(classes.previous_failed_job_count as bigint) as previous_failed_job_count,
        cast(classes.failed_call_count as bigint) as failed_call_count,
        cast(classes.previous_failed_call_count as bigint) as previous_failed_call_count,
        cast(classes.wasted_cost_usd as numeric(28, 8)) as wasted_cost_usd,
        job_types.job_type as top_job_type

    from classes

    -- a class that failed calls and no job
    left join job_types
        on
            classes.period_start_date = job_types.period_start_date
            and classes.error_class = job_types.error_class
            and job_types.list_rank = 1

)

select * from final
