{#- Grain: one row, the moment of evaluation with what is landed and published then. -#}
with

landings as (

    select max(as_of) as landed_as_of from {{ source('saas', 'landings') }}
    where as_of <= {{ evaluated_at() }}

),

days as (

    select
        max(period_start_date) as last_complete_date,
        max(built_at_as_of) as published_as_of

    from {{ ref('platform_usage_daily') }}
    where is_complete and period_end_date <= {{ local_date(evaluated_at()) }}

),

final as (

    select
        {{ evaluated_at() }} as evaluated_at,
        {{ local_date(evaluated_at()) }} as evaluated_date,
        -- null in a replay of a moment before the first landing: the rows are those that are landed now
        least(coalesce(landings.landed_as_of, {{ evaluated_at() }}), {{ evaluated_at() }}) as data_as_of,
        days.last_complete_date,
        {{ day_start("(days.last_complete_date + 1)") }} as last_complete_until,
        days.published_as_of

    from landings
    cross join days

)

select * from final
