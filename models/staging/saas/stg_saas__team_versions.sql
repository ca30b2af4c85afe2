{#- Grain: one row per team and version of its settings. -#}
with

source as (

    select * from {{ source('saas', 'team_versions') }}

),

renamed as (

    select
        -- ids
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,

        -- attributes
        cast(coalesce(budget_mode, 'job_based') as {{ dbt.type_string() }}) as budget_mode,
        cast(status as {{ dbt.type_string() }}) as status,

        -- measures
        cast(credit_limit as bigint) as credit_limit,
        cast(credits_per_dollar as numeric(28, 8)) as credits_per_dollar,
        cast(cost_markup_percentage as numeric(28, 8)) as markup_percentage,
        cast(tokens_per_credit as bigint) as tokens_per_credit,

        -- timestamps (UTC)
        cast(valid_from as timestamp) as valid_from,
        cast(missing_since as timestamp) as missing_since

    from source

)

select * from renamed
