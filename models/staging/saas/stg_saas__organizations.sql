{#- Grain: one row per organization that exists now. -#}
with

source as (

    select * from {{ source('saas', 'organizations') }}

),

renamed as (

    select
        -- ids
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,

        -- attributes
        cast(name as {{ dbt.type_string() }}) as organization_name,
        cast(status as {{ dbt.type_string() }}) as status,

        -- timestamps (UTC)
        cast(created_at as timestamp) as created_at,
        cast(updated_at as timestamp) as updated_at

    from source

)

select * from renamed
