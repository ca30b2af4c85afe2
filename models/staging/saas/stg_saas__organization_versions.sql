{#- Grain: one row per organization and version of its name and status. -#}
with

source as (

    select * from {{ source('saas', 'organization_versions') }}

),

renamed as (

    select
        -- ids
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,

        -- attributes
        cast(name as {{ dbt.type_string() }}) as organization_name,
        cast(status as {{ dbt.type_string() }}) as status,

        -- timestamps (UTC)
        cast(valid_from as timestamp) as valid_from,
        cast(missing_since as timestamp) as missing_since

    from source

)

select * from renamed
