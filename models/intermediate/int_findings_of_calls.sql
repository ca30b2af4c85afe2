{#- Grain: one row per call and rule that it breaks, with the dollars that left a measure. -#}
{{ config(tags=['each_build']) }}
with

calls as (

    select * from {{ ref('int_llm_calls_checked') }}

),

facts as (

    select
        call_id,
        job_id,
        team_id,
        provider_cost_usd,
        cost_source,
        is_unpriced,
        is_default_priced,
        is_doubled_failure

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', 'day') }}

),

joined as (

    select
        calls.*,
        facts.team_id,
        facts.provider_cost_usd as known_provider_cost_usd,
        facts.cost_source,
        facts.is_unpriced,
        facts.is_doubled_failure

    from calls

    inner join facts
        on calls.call_id = facts.call_id

),

final as (

    {% for rule, condition, dollars in [
        ('unusable_tokens', 'not has_usable_tokens', 'null'),
        ('unusable_latency', 'not has_usable_latency', 'null'),
        ('provider_cost_out_of_range', 'has_unusable_provider_cost', 'provider_cost_usd'),
        ('legacy_cost_out_of_range', 'has_unusable_legacy_cost', 'cost_usd'),
        ('client_cost_out_of_range', 'has_unusable_client_cost', 'client_cost_usd'),
        ('negative_provider_cost', 'least(provider_cost_usd, cost_usd) < 0', 'least(provider_cost_usd, cost_usd)'),
        ('unpriced_call', 'is_unpriced', 'null'),
        ('markup_unknown', "cost_source = 'markup_unknown'", 'known_provider_cost_usd'),
        ('default_price', 'is_default_priced', 'known_provider_cost_usd'),
        ('doubled_failure', 'is_doubled_failure', 'null'),
        ('tokens_do_not_add_up', 'total_tokens <> prompt_tokens + completion_tokens', 'null'),
        ('call_without_job', "team_id = 'unassigned'", 'known_provider_cost_usd'),
    ] -%}
    select
        '{{ rule }}' as rule,
        'llm_calls' as table_name,
        call_id as row_key,
        cast({{ dollars }} as numeric(28, 8)) as dollars,
        created_at

    from joined
    where {{ condition }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
