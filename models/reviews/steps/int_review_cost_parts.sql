{#- Grain: one row per review, dimension (model, team, job_type) and part active in the period or before. -#}
with

known as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        part_name,
        -- calls without a known price are in no cost
        cast(coalesce(client_cost_usd, 0) as numeric(28, 8)) as client_cost_usd,
        cast(coalesce(previous_client_cost_usd, 0) as numeric(28, 8)) as previous_client_cost_usd

    from {{ ref('int_review_parts') }}

),

final as (

    select
        *,
        cast(row_number() over (
            partition by {{ review_keys() }}, period_start_date, dimension
            order by abs(client_cost_usd - previous_client_cost_usd) desc, part_name asc
        ) as integer) as part_rank

    from known

)

select * from final
