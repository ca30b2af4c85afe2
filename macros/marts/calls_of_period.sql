{#- A select of the calls with the start of their period; latency only of successful ones. -#}
{%- macro calls_of_period(period_type, columns) -%}
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {{ period_start('call_date', period_type) }} as period_start_date,
        is_failed,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        provider_cost_usd,
        client_cost_usd,
        is_unpriced,
        case when not is_failed then latency_ms end as latency_ms

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', period_type) }}
{%- endmacro -%}
