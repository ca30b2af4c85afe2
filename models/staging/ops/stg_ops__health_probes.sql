{#- Grain: one row per probe of a component. -#}
with

source as (

    select * from {{ source('ops', 'health_probes') }}

),

renamed as (

    select
        -- ids
        cast(probe_id as bigint) as probe_id,

        -- attributes
        cast(component as {{ dbt.type_string() }}) as component,
        cast(verdict as {{ dbt.type_string() }}) as verdict,
        cast(reason as {{ dbt.type_string() }}) as reason,

        -- measures
        cast(latency_ms as numeric(18, 3)) as latency_ms,
        cast(interval_seconds as bigint) as interval_seconds,

        -- booleans
        cast(is_required as boolean) as is_required,

        -- timestamps (UTC)
        cast(checked_at as timestamp) as checked_at

    from source

)

select * from renamed
