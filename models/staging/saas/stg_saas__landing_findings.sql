{#- Grain: one row per finding of the last landing. -#}
with

source as (

    select * from {{ source('saas', 'landing_findings') }}

),

renamed as (

    select
        -- ids
        cast(rule as {{ dbt.type_string() }}) as rule,
        cast(table_name as {{ dbt.type_string() }}) as table_name,
        cast(row_key as {{ dbt.type_string() }}) as row_key,
        cast(column_name as {{ dbt.type_string() }}) as column_name,

        -- attributes
        cast(detail as {{ dbt.type_string() }}) as detail,

        -- measures
        cast(affected_rows as bigint) as affected_row_count,

        -- timestamps (UTC)
        cast(row_created_at as timestamp) as created_at

    from source

)

select * from renamed
