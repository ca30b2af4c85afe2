{#- Grain: one row: today so far, beside the same hours of the comparison days. -#}
{%- set measures = [
    'active_team_count', 'job_count', 'completed_job_count', 'failed_job_count', 'failure_rate', 'call_count',
    'total_tokens', 'client_cost_usd', 'latency_avg_ms', 'latency_p95_ms',
] -%}
select
    today.calendar_date,
    {{ as_of() }} as built_at_as_of,
    {%- for measure in measures %}
    today.{{ measure }},
    yesterday.{{ measure }} as {{ measure }}_yesterday,
    last_week.{{ measure }} as {{ measure }}_last_week
    {{- "," if not loop.last }}
    {%- endfor %}

from {{ ref('int_activity_aggregated_to_windows') }} as today

inner join {{ ref('int_activity_aggregated_to_windows') }} as yesterday
    on yesterday.dashboard_window = 'yesterday'

inner join {{ ref('int_activity_aggregated_to_windows') }} as last_week
    on last_week.dashboard_window = 'last_week'

where today.dashboard_window = 'today'
