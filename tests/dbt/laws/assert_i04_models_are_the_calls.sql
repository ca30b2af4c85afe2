-- I4: the models of a team, and the models of all teams, add up to their calls and costs.
-- Returns the period and mart that do not.
{% for period_type, suffix in [('day', 'daily'), ('week', 'weekly'), ('month', 'monthly')] -%}
{%- set periods = loop -%}
{% for part in ['model_usage', 'model_performance'] -%}
select
    '{{ part }}_{{ suffix }}' as mart,
    platform.period_start_date,
    platform.call_count as calls_of_platform,
    parts.call_count as calls_of_models,
    platform.client_cost_usd as cost_of_platform,
    parts.client_cost_usd as cost_of_models

from (
    select * from {{ ref('platform_usage_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
) as platform

full join (
    select
        period_start_date,
        sum(call_count) as call_count,
        sum(total_tokens) as total_tokens,
        sum(provider_cost_usd) as provider_cost_usd,
        sum(client_cost_usd) as client_cost_usd

    from {{ ref(part ~ '_' ~ suffix) }}
    where {{ is_touched('period_start_date', period_type) }}
    group by period_start_date
) as parts
    on platform.period_start_date = parts.period_start_date

where
    coalesce(platform.call_count, 0) <> coalesce(parts.call_count, 0)
    or coalesce(platform.total_tokens, 0) <> coalesce(parts.total_tokens, 0)
    or coalesce(platform.provider_cost_usd, 0) <> coalesce(parts.provider_cost_usd, 0)
    or coalesce(platform.client_cost_usd, 0) <> coalesce(parts.client_cost_usd, 0)
{% if not (loop.last and periods.last) %}union all{% endif %}
{% endfor %}
{% endfor %}
