{#-
    The call measures of one row, from a left-joined `calls` built by call_aggregates()
    and a `periods` with elapsed_microseconds.
-#}
{%- macro call_measures() -%}
    coalesce(calls.call_count, 0) as call_count,
        coalesce(calls.failed_call_count, 0) as failed_call_count,
        {{ ratio('calls.failed_call_count', 'calls.call_count') }} as call_failure_rate,
        {{ sum_over_calls('calls', 'prompt_tokens') }} as prompt_tokens,
        {{ sum_over_calls('calls', 'completion_tokens') }} as completion_tokens,
        {{ sum_over_calls('calls', 'total_tokens') }} as total_tokens,
        {{ sum_over_calls('calls', 'provider_cost_usd') }} as provider_cost_usd,
        {{ sum_over_calls('calls', 'client_cost_usd') }} as client_cost_usd,
        {{ sum_over_calls('calls', 'margin_usd') }} as margin_usd,
        coalesce(calls.unpriced_call_count, 0) as unpriced_call_count,
        coalesce(calls.latency_call_count, 0) as latency_call_count,
        {{ duration_ratio('calls.latency_sum_ms', 'calls.latency_call_count') }} as latency_avg_ms,
        {%- for statistic in ['p50', 'p95', 'p99', 'max'] %}
        cast(calls.latency_{{ statistic }}_ms as numeric(18, 3)) as latency_{{ statistic }}_ms,
        {%- endfor %}
        {{ ratio('coalesce(calls.call_count, 0) * 60000000', 'periods.elapsed_microseconds') }} as calls_per_minute
{%- endmacro -%}
