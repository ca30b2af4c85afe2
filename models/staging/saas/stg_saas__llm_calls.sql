{#- Grain: one row per LLM call landed. -#}
with

source as (

    select * from {{ source('saas', 'llm_calls') }}

),

renamed as (

    select
        -- ids
        cast(call_id as {{ dbt.type_string() }}) as call_id,
        cast(job_id as {{ dbt.type_string() }}) as job_id,

        -- attributes
        cast(model_group_used as {{ dbt.type_string() }}) as model_group,
        cast(model_used as {{ dbt.type_string() }}) as model_used,
        cast(resolved_model as {{ dbt.type_string() }}) as resolved_model,
        cast(error as {{ dbt.type_string() }}) as error,
        cast(unusable_columns as {{ dbt.type_string() }}) as unusable_columns,

        -- measures
        coalesce(cast(prompt_tokens as bigint), 0) as prompt_tokens,
        coalesce(cast(completion_tokens as bigint), 0) as completion_tokens,
        cast(total_tokens as bigint) as total_tokens,
        cast(latency_ms as bigint) as latency_ms,
        cast(cost_usd as numeric(28, 8)) as cost_usd,
        cast(provider_cost_usd as numeric(28, 8)) as provider_cost_usd,
        cast(client_cost_usd as numeric(28, 8)) as client_cost_usd,
        cast(model_pricing_input as numeric(28, 8)) as input_price_usd_per_million_tokens,
        cast(model_pricing_output as numeric(28, 8)) as output_price_usd_per_million_tokens,

        -- timestamps (UTC): a call is stored when it ends
        cast(created_at as timestamp) as created_at

    from source

)

select * from renamed
