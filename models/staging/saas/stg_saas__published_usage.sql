{#- Grain: one row per team and complete day of the last published night. -#}
with

source as (

    select * from {{ source('saas', 'published_usage') }}

),

renamed as (

    select
        -- ids
        cast(team_id as {{ dbt.type_string() }}) as team_id,

        -- measures
        cast(job_count as numeric(28, 8)) as job_count,
        cast(completed_job_count as numeric(28, 8)) as completed_job_count,
        cast(failed_job_count as numeric(28, 8)) as failed_job_count,
        cast(call_count as numeric(28, 8)) as call_count,
        cast(total_tokens as numeric(28, 8)) as total_tokens,
        cast(provider_cost_usd as numeric(28, 8)) as provider_cost_usd,
        cast(client_cost_usd as numeric(28, 8)) as client_cost_usd,
        cast(credits_used as numeric(28, 8)) as credits_used,
        cast(credits_added as numeric(28, 8)) as credits_added,

        -- dates
        cast(period_start_date as date) as period_start_date

    from source

)

select * from renamed
