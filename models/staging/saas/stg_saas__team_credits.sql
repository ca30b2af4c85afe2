{#- Grain: one row per team that exists now. -#}
with

source as (

    select * from {{ source('saas', 'team_credits') }}

),

renamed as (

    select
        -- ids
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,

        -- attributes
        cast(coalesce(budget_mode, 'job_based') as {{ dbt.type_string() }}) as budget_mode,
        cast(refill_period as {{ dbt.type_string() }}) as refill_period,
        cast(status as {{ dbt.type_string() }}) as status,

        -- measures
        cast(credits_allocated as bigint) as credits_allocated,
        cast(credits_used as bigint) as credits_used,
        cast(credits_remaining as bigint) as credits_remaining,
        cast(credit_limit as bigint) as credit_limit,
        cast(refill_amount as bigint) as refill_amount,
        cast(credits_per_dollar as numeric(28, 8)) as credits_per_dollar,
        cast(cost_markup_percentage as numeric(28, 8)) as markup_percentage,
        cast(tokens_per_credit as bigint) as tokens_per_credit,

        -- booleans
        cast(auto_refill as boolean) as is_auto_refill,

        -- timestamps (UTC)
        cast(last_refill_at as timestamp) as last_refill_at,
        cast(created_at as timestamp) as created_at,
        cast(updated_at as timestamp) as updated_at

    from source

)

select * from renamed
