{#- Grain: one row per rule and scope that it can be asked of. -#}
{%- set rules = [
    'error_rate_high', 'latency_high', 'performance_degraded', 'pipeline_stale', 'credit_low', 'credit_critical',
    'credit_exhaustion_projected', 'cost_spike', 'traffic_spike', 'traffic_drop', 'unpriced_spend', 'unbilled_jobs',
    'margin_negative', 'ledger_break', 'component_down', 'component_degraded', 'auth_failures', 'unauthorized_access',
    'rate_limit_violations', 'suspicious_usage',
] -%}
{% for rule in rules -%}
select * from {{ ref('alert_' ~ rule) }}
{% if not loop.last -%}
union all
{% endif -%}
{% endfor %}
