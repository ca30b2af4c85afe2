-- I4: a team's job types add up to the team, in every period.
-- Returns the team, period and measure that do not.
{% set measures = [
    'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'open_job_count', 'other_job_count',
    'latency_call_count', 'call_count', 'failed_call_count', 'prompt_tokens',
    'completion_tokens', 'total_tokens', 'provider_cost_usd', 'client_cost_usd',
    'margin_usd', 'unpriced_call_count', 'credits_used', 'credits_added',
] %}

{% for period_type, suffix in [('day', 'daily'), ('week', 'weekly'), ('month', 'monthly')] -%}
{%- set periods = loop -%}
{% for measure in measures -%}
select
    '{{ measure }}' as measure,
    teams.team_id,
    teams.period_start_date,
    teams.{{ measure }} as of_team,
    job_types.{{ measure }} as of_job_types

from (
    select * from {{ ref('team_usage_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
) as teams

full join (
    select
        team_id,
        period_start_date,
        sum({{ measure }}) as {{ measure }}

    from {{ ref('job_type_usage_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
    group by team_id, period_start_date
) as job_types
    on
        teams.team_id = job_types.team_id
        and teams.period_start_date = job_types.period_start_date

where coalesce(teams.{{ measure }}, 0) <> coalesce(job_types.{{ measure }}, 0)
{% if not (loop.last and periods.last) %}union all{% endif %}
{% endfor %}
{% endfor %}
