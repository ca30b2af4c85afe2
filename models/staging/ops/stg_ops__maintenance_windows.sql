{#- Grain: one row per maintenance window. -#}
with

source as (

    select * from {{ source('ops', 'maintenance_windows') }}

),

renamed as (

    select
        -- ids
        cast(window_id as bigint) as window_id,

        -- attributes: no component means every one
        cast(component as {{ dbt.type_string() }}) as component,
        cast(owner as {{ dbt.type_string() }}) as owner,
        cast(reason as {{ dbt.type_string() }}) as reason,

        -- timestamps (UTC)
        cast(starts_at as timestamp) as starts_at,
        cast(ends_at as timestamp) as ends_at,
        cast(created_at as timestamp) as created_at

    from source

)

select * from renamed
