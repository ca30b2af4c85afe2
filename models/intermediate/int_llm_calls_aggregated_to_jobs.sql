{#- Grain: one row per job that made a call, with its calls added up. -#}
{{ config(tags=['each_build']) }}
with

calls as (

    select
        call_id,
        job_id,
        error_class,
        is_failed,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        provider_cost_usd,
        client_cost_usd,
        is_unpriced,
        latency_ms,
        created_at

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('created_at', 'read') }}

),

failures as (

    select
        job_id,
        error_class,
        row_number() over (partition by job_id order by created_at desc, call_id desc) as recency

    from calls
    where is_failed

),

aggregated as (

    select
        job_id,
        count(*) as call_count,
        count(case when is_failed then 1 end) as failed_call_count,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(completion_tokens) as bigint) as completion_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(provider_cost_usd) as numeric(28, 8)) as provider_cost_usd,
        cast(sum(client_cost_usd) as numeric(28, 8)) as client_cost_usd,
        count(case when is_unpriced then 1 end) as unpriced_call_count,
        sum(case when not is_failed then latency_ms end) as latency_sum_ms,
        count(case when not is_failed then latency_ms end) as latency_call_count

    from calls
    group by job_id

),

final as (

    select
        aggregated.*,
        failures.error_class as last_error_class

    from aggregated

    left join failures
        on
            aggregated.job_id = failures.job_id
            and failures.recency = 1

)

select * from final
