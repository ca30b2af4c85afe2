{#- Grain: one row per ledger row landed. -#}
with

source as (

    select * from {{ source('saas', 'credit_transactions') }}

),

renamed as (

    select
        -- ids
        cast(transaction_id as {{ dbt.type_string() }}) as transaction_id,
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,
        cast(job_id as {{ dbt.type_string() }}) as job_id,

        -- attributes
        cast(transaction_type as {{ dbt.type_string() }}) as transaction_type,
        cast(reason as {{ dbt.type_string() }}) as reason,

        -- measures, as stored
        cast(credits_amount as bigint) as credits_amount,
        cast(credits_before as bigint) as credits_before,
        cast(credits_after as bigint) as credits_after,

        -- timestamps (UTC)
        cast(created_at as timestamp) as created_at

    from source

)

select * from renamed
