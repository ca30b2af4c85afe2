{#-
    Grain: one row per call stored in the seven days before the moment of evaluation, refusals left out, and
    of the two rows of an answer with empty choices the failure.
-#}
with

calls as (

    select
        call_id,
        job_id,
        coalesce(model_group_used, 'unknown') as model_group,
        error,
        case when latency_ms between 0 and 2147483647 then latency_ms end as latency_ms,
        created_at

    from {{ source('saas', 'llm_calls') }}
    where
        created_at < {{ evaluated_at() }}
        and created_at >= {{ evaluated_at() }} - interval '7 days'

),

refusals as (

    select pattern from {{ ref('error_classes') }}
    where error_class = 'model_denied'

),

final as (

    select
        calls.call_id,
        calls.job_id,
        calls.model_group,
        calls.error is not null as is_failed,
        case when calls.error is null then calls.latency_ms end as latency_ms,
        calls.created_at

    from calls
    where
        not exists (
            select 1 from refusals where {{ lower_ascii('calls.error') }} like refusals.pattern
        )
        -- the same call is there as a success
        and coalesce({{ lower_ascii('calls.error') }} not like '%list index out of range%', true)

)

select * from final
