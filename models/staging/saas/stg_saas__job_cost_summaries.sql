{#- Grain: one row per job that the platform summarised. -#}
with

source as (

    select * from {{ source('saas', 'job_cost_summaries') }}

),

renamed as (

    select
        -- ids
        cast(job_id as {{ dbt.type_string() }}) as job_id,

        -- measures, as the platform computed them
        cast(total_calls as bigint) as call_count,
        cast(successful_calls as bigint) as successful_call_count,
        cast(failed_calls as bigint) as failed_call_count,
        cast(total_tokens as bigint) as total_tokens,
        cast(total_cost_usd as numeric(28, 8)) as cost_usd,
        cast(avg_latency_ms as bigint) as latency_avg_ms,
        cast(total_duration_seconds as bigint) as duration_seconds,

        -- timestamps (UTC)
        cast(calculated_at as timestamp) as calculated_at

    from source

)

select * from renamed
