{#- Grain: one row per model alias. -#}
with

source as (

    select * from {{ source('saas', 'model_aliases') }}

),

renamed as (

    select
        -- ids
        cast(model_alias as {{ dbt.type_string() }}) as model_alias,

        -- attributes
        cast(display_name as {{ dbt.type_string() }}) as display_name,
        cast(provider as {{ dbt.type_string() }}) as provider,
        cast(actual_model as {{ dbt.type_string() }}) as actual_model,
        cast(status as {{ dbt.type_string() }}) as status,

        -- measures
        cast(pricing_input as numeric(28, 8)) as input_price_usd_per_million_tokens,
        cast(pricing_output as numeric(28, 8)) as output_price_usd_per_million_tokens,

        -- timestamps (UTC)
        cast(created_at as timestamp) as created_at,
        cast(updated_at as timestamp) as updated_at

    from source

)

select * from renamed
