{#- Grain: one row per model and local day with a call of it. -#}
{{ replaced_when_touched('call_date', 'day') }}
select
    model,
    call_date,
    min(nullif(provider, 'unknown')) as provider,
    min(created_at) as first_seen_at,
    max(created_at) as last_seen_at

from {{ ref('fct_llm_calls') }}
where {{ is_touched('call_date', 'day') }}
group by model, call_date
