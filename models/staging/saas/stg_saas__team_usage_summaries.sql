{#- Grain: one row per team and period that the platform summarised; usually none. -#}
with

source as (

    select * from {{ source('saas', 'team_usage_summaries') }}

),

renamed as (

    select
        -- ids
        cast(id as {{ dbt.type_string() }}) as summary_id,
        cast(team_id as {{ dbt.type_string() }}) as team_id,

        -- attributes
        cast(period as {{ dbt.type_string() }}) as period,
        cast(period_type as {{ dbt.type_string() }}) as period_type,

        -- measures, as the platform computed them
        cast(total_jobs as bigint) as job_count,
        cast(successful_jobs as bigint) as completed_job_count,
        cast(failed_jobs as bigint) as failed_job_count,
        cast(cancelled_jobs as bigint) as cancelled_job_count,
        cast(total_cost_usd as numeric(28, 8)) as cost_usd,
        cast(total_tokens as bigint) as total_tokens,

        -- timestamps (UTC)
        cast(calculated_at as timestamp) as calculated_at

    from source

)

select * from renamed
