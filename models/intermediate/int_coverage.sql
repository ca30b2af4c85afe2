{#- Grain: one row: the instant up to which the source is landed and wanted. -#}
{{ config(tags=['each_build']) }}
with

landings as (

    select
        landed_as_of,
        row_number() over (order by landing_number desc) as recency

    from {{ ref('stg_saas__landings') }}

),

final as (

    select least(landed_as_of, {{ as_of() }}) as covered_until
    from landings
    where recency = 1

)

select * from final
