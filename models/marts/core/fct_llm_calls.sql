{#- Grain: one row per LLM call created before as_of. -#}
{{ replaced_when_touched('call_date', 'day') }}
with

calls as (

    select * from {{ ref('int_llm_calls_priced') }}

),

model_aliases as (

    select
        model_alias,
        provider,
        actual_model

    from {{ ref('stg_saas__model_aliases') }}

),

error_texts as (

    select
        error_text,
        error_class

    from {{ ref('int_error_texts_classified') }}

),

doubled_failures as (

    select call_id from {{ ref('int_llm_calls_doubled') }}

),

final as (

    select
        calls.call_id,
        calls.job_id,
        calls.team_id,
        calls.organization_id,
        calls.job_type,
        coalesce(calls.model_group, 'unknown') as model_group,
        calls.resolved_model,
        coalesce(resolved_aliases.actual_model, calls.resolved_model, 'unknown') as model,
        coalesce(group_aliases.provider, resolved_aliases.provider, 'unknown') as provider,
        calls.prompt_tokens,
        calls.completion_tokens,
        calls.total_tokens,
        calls.provider_cost_usd,
        calls.client_cost_usd,
        calls.cost_source,
        calls.markup_percentage,
        cast(calls.latency_ms as bigint) as latency_ms,
        calls.is_failed,
        not calls.is_failed
        and (calls.provider_cost_usd is null or calls.client_cost_usd is null) as is_unpriced,
        calls.is_default_priced,
        doubled_failures.call_id is not null as is_doubled_failure,
        calls.is_of_failed_job,
        case when calls.is_failed then coalesce(error_texts.error_class, 'unclassified') end as error_class,
        {{ local_date('calls.created_at') }} as call_date,
        calls.created_at

    from calls

    -- a provider's dated name is not an alias
    left join model_aliases as resolved_aliases
        on calls.resolved_model = resolved_aliases.model_alias

    -- a group whose alias is gone
    left join model_aliases as group_aliases
        on calls.model_group = group_aliases.model_alias

    left join error_texts
        on calls.error = error_texts.error_text

    left join doubled_failures
        on calls.call_id = doubled_failures.call_id

)

select * from final
where {{ is_touched('call_date', 'day') }}
