{#- Grain: one row per source table of the last landing. -#}
with

source as (

    select * from {{ source('saas', 'landed_tables') }}

),

renamed as (

    select
        -- ids
        cast(table_name as {{ dbt.type_string() }}) as table_name,

        -- measures
        cast(rows_read as bigint) as read_row_count,
        cast(exact_duplicate_rows as bigint) as exact_duplicate_row_count,
        cast(conflicting_duplicate_rows as bigint) as conflicting_duplicate_row_count,
        cast(rows_landed as bigint) as landed_row_count

    from source

)

select * from renamed
