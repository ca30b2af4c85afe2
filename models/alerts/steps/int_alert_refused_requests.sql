{#-
    Grain: one row per request that was refused (401, 403, 429) in the days before the moment, by each source that
    says so and can be asked: the access log and LiteLLM may both know of one request, so sources are never added up.
-#}
with

usable as (

    select source_name

    from {{ ref('int_alert_security_sources') }}
    where unknown_reason is null

),

found as (

    select
        'access_log' as source_name,
        status,
        false as is_model_denied,
        happened_at,
        client,
        key_id,
        team_id

    from {{ source('security', 'access_log') }}
    where
        status in (401, 403, 429)
        and happened_at < {{ evaluated_at() }}
        and happened_at >= {{ evaluated_at() }} - {{ var('alert_security_memory_hours') }} * interval '1 hour'

    union all

    select
        'litellm_failures' as source_name,
        status,
        is_model_denied,
        happened_at,
        client,
        key_id,
        team_id

    from {{ ref('int_alert_litellm_refusals') }}

),

final as (

    select found.*

    from found
    inner join usable
        on found.source_name = usable.source_name

)

select * from final
