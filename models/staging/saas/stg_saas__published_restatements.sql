{#- Grain: one row per restatement that the last published night listed. -#}
with

source as (

    select * from {{ source('saas', 'published_restatements') }}

),

renamed as (

    select
        -- ids
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(measure as {{ dbt.type_string() }}) as measure,

        -- attributes
        cast(cause as {{ dbt.type_string() }}) as cause,

        -- measures
        cast(old_value as numeric(28, 8)) as old_value,
        cast(new_value as numeric(28, 8)) as new_value,

        -- dates and timestamps (UTC)
        cast(period_start_date as date) as period_start_date,
        cast(published_as_of as timestamp) as published_as_of,
        cast(restated_as_of as timestamp) as restated_as_of

    from source

)

select * from renamed
