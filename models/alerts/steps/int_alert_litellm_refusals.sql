{#-
    Grain: one row per request that the LiteLLM proxy itself refused in the days before the moment: by whom, and as
    what. A provider's refusal is none of it.
-#}
with

failures as (

    select failures.*

    from {{ source('security', 'litellm_failures') }} as failures
    where
        failures.happened_at < {{ evaluated_at() }}
        and failures.happened_at >= {{ evaluated_at() }} - {{ var('alert_security_memory_hours') }} * interval '1 hour'

),

classified as (

    {{ litellm_failures_classified('failures', ref('litellm_failure_classes')) }}

),

final as (

    select
        case failure_class
            when 'authentication' then 401
            when 'rate_limit' then 429
            else 403
        end as status,
        failure_class = 'model_denied' as is_model_denied,
        happened_at,
        client,
        key_id,
        team_id

    from classified
    where failure_class in ('authentication', 'forbidden', 'model_denied', 'rate_limit')

)

select * from final
