{#-
    The additive parts and the percentiles of a group of calls, from single calls.

    For a select over `fct_llm_calls`. Latency is of successful calls only; a failed call
    stores none, and its waiting time is not the model's.
-#}
{%- macro call_aggregates() -%}
    {%- set fractions = [0.5, 0.95, 0.99] -%}
    count(*) as call_count,
        count(case when is_failed then 1 end) as failed_call_count,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(completion_tokens) as bigint) as completion_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(provider_cost_usd) as numeric(28, 8)) as provider_cost_usd,
        cast(sum(client_cost_usd) as numeric(28, 8)) as client_cost_usd,
        cast(sum(client_cost_usd - provider_cost_usd) as numeric(28, 8)) as margin_usd,
        count(case when is_unpriced then 1 end) as unpriced_call_count,
        count(latency_ms) as latency_call_count,
        sum(latency_ms) as latency_sum_ms,
        {{ percentile('latency_ms', 0.5, fractions) }} as latency_p50_ms,
        {{ percentile('latency_ms', 0.95, fractions) }} as latency_p95_ms,
        {{ percentile('latency_ms', 0.99, fractions) }} as latency_p99_ms,
        max(latency_ms) as latency_max_ms
{%- endmacro -%}
