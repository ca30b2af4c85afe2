-- I2: a team's days add up to its weeks and to its months, exactly.
-- Returns the team, period and measure that do not.
{% set measures = [
    'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'open_job_count', 'other_job_count',
    'latency_call_count', 'call_count', 'failed_call_count', 'prompt_tokens',
    'completion_tokens', 'total_tokens', 'provider_cost_usd', 'client_cost_usd',
    'margin_usd', 'unpriced_call_count', 'credits_used', 'credits_added',
] %}

{% for period_type, mart in [('week', 'team_usage_weekly'), ('month', 'team_usage_monthly')] -%}
{%- set outer = loop -%}
{% for measure in measures -%}
select
    '{{ measure }}' as measure,
    periods.team_id,
    periods.period_start_date,
    periods.{{ measure }} as of_{{ period_type }},
    days.{{ measure }} as of_days

from (
    select * from {{ ref(mart) }}
    where {{ is_touched('period_start_date', period_type) }}
) as periods

full join (
    select
        team_id,
        {{ period_start('period_start_date', period_type) }} as period_start_date,
        sum({{ measure }}) as {{ measure }}

    from {{ ref('team_usage_daily') }}
    where {{ is_touched('period_start_date', period_type) }}
    group by team_id, {{ period_start('period_start_date', period_type) }}
) as days
    on
        periods.team_id = days.team_id
        and periods.period_start_date = days.period_start_date

where coalesce(periods.{{ measure }}, 0) <> coalesce(days.{{ measure }}, 0)
{% if not (loop.last and outer.last) %}union all{% endif %}
{% endfor %}
{% endfor %}
