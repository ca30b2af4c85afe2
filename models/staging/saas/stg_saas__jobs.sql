{#- Grain: one row per job landed. -#}
with

source as (

    select * from {{ source('saas', 'jobs') }}

),

renamed as (

    select
        -- ids
        cast(job_id as {{ dbt.type_string() }}) as job_id,
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(organization_id as {{ dbt.type_string() }}) as organization_id,
        cast(user_id as {{ dbt.type_string() }}) as user_id,

        -- attributes
        cast(job_type as {{ dbt.type_string() }}) as job_type,
        cast({{ lower_ascii('status') }} as {{ dbt.type_string() }}) as status,
        cast(error_message as {{ dbt.type_string() }}) as error_message,

        -- booleans
        cast(credit_applied as boolean) as is_credit_applied,

        -- timestamps (UTC)
        cast(created_at as timestamp) as created_at,
        cast(started_at as timestamp) as started_at,
        cast(completed_at as timestamp) as completed_at

    from source

)

select * from renamed
