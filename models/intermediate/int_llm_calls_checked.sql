{#-
    Grain: one row per call created before as_of, with values that break physics voided
    and the reason kept.

    The limits are the source columns' own: integer, numeric(10, 8) and numeric(10, 6).
-#}
{{ config(tags=['each_build']) }}
with

calls as (

    select
        call_id,
        job_id,
        model_group,
        resolved_model,
        error,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        latency_ms,
        cost_usd,
        provider_cost_usd,
        client_cost_usd,
        input_price_usd_per_million_tokens,
        output_price_usd_per_million_tokens,
        ',' || coalesce(unusable_columns, '') || ',' as unusable_columns,
        created_at

    from {{ ref('stg_saas__llm_calls') }}
    where
        {{ exists_at_as_of('created_at') }}
        and {{ is_touched('created_at', 'read') }}

),

checked as (

    select
        *,
        (
            least(prompt_tokens, completion_tokens, coalesce(total_tokens, 0)) >= 0
            and greatest(prompt_tokens, completion_tokens, coalesce(total_tokens, 0)) <= 2147483647
        ) as has_usable_tokens,
        (latency_ms between 0 and 2147483647) as has_usable_latency,
        (
            unusable_columns like '%,provider_cost_usd,%' or coalesce(abs(provider_cost_usd) > 99.99999999, false)
        ) as has_unusable_provider_cost,
        (
            unusable_columns like '%,cost_usd,%' or coalesce(abs(cost_usd) > 9999.999999, false)
        ) as has_unusable_legacy_cost,
        (
            unusable_columns like '%,client_cost_usd,%'
            or coalesce(client_cost_usd not between 0 and 99.99999999, false)
        ) as has_unusable_client_cost

    from calls

),

final as (

    select
        call_id,
        job_id,
        model_group,
        resolved_model,
        error,
        case when has_usable_tokens then prompt_tokens end as prompt_tokens,
        case when has_usable_tokens then completion_tokens end as completion_tokens,
        case
            when has_usable_tokens then coalesce(total_tokens, prompt_tokens + completion_tokens)
        end as total_tokens,
        case when has_usable_latency then latency_ms end as latency_ms,
        cost_usd,
        provider_cost_usd,
        client_cost_usd,
        coalesce(
            input_price_usd_per_million_tokens = 1 and output_price_usd_per_million_tokens = 2, false
        ) as is_default_priced,
        error is not null as is_failed,
        has_usable_tokens,
        coalesce(has_usable_latency, true) as has_usable_latency,
        has_unusable_provider_cost,
        has_unusable_legacy_cost,
        has_unusable_client_cost,
        created_at

    from checked

)

select * from final
