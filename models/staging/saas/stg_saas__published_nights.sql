{#- Grain: one row for the last published night, none before the first. -#}
with

source as (

    select * from {{ source('saas', 'published_nights') }}

),

renamed as (

    select
        -- timestamps (UTC)
        cast(as_of as timestamp) as published_as_of,

        -- attributes: the first local day that was not complete
        cast(complete_until as date) as complete_until_date

    from source

)

select * from renamed
