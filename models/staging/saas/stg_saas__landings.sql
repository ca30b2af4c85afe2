{#- Grain: one row per landing. -#}
with

source as (

    select * from {{ source('saas', 'landings') }}

),

renamed as (

    select
        -- ids
        cast(landing_number as bigint) as landing_number,

        -- attributes
        cast(source_kind as {{ dbt.type_string() }}) as source_kind,

        -- timestamps (UTC): what the source held then is in
        cast(as_of as timestamp) as landed_as_of

    from source

)

select * from renamed
