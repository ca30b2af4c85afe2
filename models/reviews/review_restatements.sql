{#- Grain: one row per review, earlier period and metric of it that was published and is another one now. -#}
with

restated as (

    select * from {{ ref('int_review_restatements') }}

),

ranked as (

    select
        {{ review_keys('restated') }},
        restated.period_start_date,
        row_number() over (
            partition by {{ review_keys('restated') }}, restated.period_start_date
            order by restated.restated_start_date desc, restated.measure asc
        ) as list_position,
        restated.restated_start_date,
        restated.measure,
        metric_values.metric_value - restated.later_difference - restated.difference as old_value,
        metric_values.metric_value - restated.later_difference as new_value,
        restated.difference,
        restated.day_count,
        restated.cause,
        restated.restated_as_of

    from restated

    inner join {{ ref('review_values') }} as metric_values
        on
            {{ same_review('restated', 'metric_values', period=false) }}
            and restated.restated_start_date = metric_values.period_start_date
            and restated.measure = metric_values.metric

    where metric_values.metric_value is not null

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(list_position as integer) as list_position,
        restated_start_date,
        measure,
        cast(old_value as numeric(28, 8)) as old_value,
        cast(new_value as numeric(28, 8)) as new_value,
        cast(difference as numeric(28, 8)) as difference,
        cast(day_count as integer) as day_count,
        cause,
        restated_as_of

    from ranked

)

select * from final
where list_position <= {{ review_rule('listed_restatements') }}
