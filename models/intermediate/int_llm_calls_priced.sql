{#- Grain: one row per call created before as_of, with its two costs and where they come from. -#}
with

calls as (

    select * from {{ ref('int_llm_calls_attributed') }}

),

sourced as (

    select
        *,
        case
            when has_unusable_client_cost then 'unpriced'
            when client_cost_usd > 0 then 'stored'
            when client_cost_usd = 0 and known_provider_cost_usd is not null then 'stored'
            when known_provider_cost_usd is null then 'unpriced'
            when markup_percentage is null then 'markup_unknown'
            when provider_cost_usd > 0 then 'marked_up'
            else 'legacy'
        end as cost_source

    from calls

),

final as (

    select
        call_id,
        job_id,
        team_id,
        organization_id,
        job_type,
        model_group,
        resolved_model,
        error,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        latency_ms,
        known_provider_cost_usd as provider_cost_usd,
        case cost_source
            when 'stored' then client_cost_usd
            when 'marked_up' then {{ marked_up('known_provider_cost_usd', 'markup_percentage') }}
            when 'legacy' then {{ marked_up('known_provider_cost_usd', 'markup_percentage') }}
        end as client_cost_usd,
        cost_source,
        markup_percentage,
        is_default_priced,
        is_failed,
        is_of_failed_job,
        created_at

    from sourced

)

select * from final
