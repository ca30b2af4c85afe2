-- I2: for every period, teams and organizations add up to the platform, exactly.
-- Returns the mart, period and measure that do not.
{% set measures = [
    'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'open_job_count', 'other_job_count',
    'latency_call_count', 'call_count', 'failed_call_count', 'prompt_tokens',
    'completion_tokens', 'total_tokens', 'provider_cost_usd', 'client_cost_usd',
    'margin_usd', 'unpriced_call_count', 'credits_used', 'credits_added',
] %}

{% for period_type, suffix in [('day', 'daily'), ('week', 'weekly'), ('month', 'monthly')] -%}
{%- set periods = loop -%}
{% for part in ['team_usage', 'organization_usage'] -%}
{%- set parts = loop -%}
{% for measure in measures -%}
select
    '{{ part }}_{{ suffix }}' as mart,
    '{{ measure }}' as measure,
    platform.period_start_date,
    platform.{{ measure }} as of_platform,
    parts.{{ measure }} as of_parts

from (
    select * from {{ ref('platform_usage_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
) as platform

full join (
    select
        period_start_date,
        sum({{ measure }}) as {{ measure }}

    from {{ ref(part ~ '_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
    group by period_start_date
) as parts
    on platform.period_start_date = parts.period_start_date

where coalesce(platform.{{ measure }}, 0) <> coalesce(parts.{{ measure }}, 0)
{% if not (loop.last and parts.last and periods.last) %}union all{% endif %}
{% endfor %}
{% endfor %}
{% endfor %}
