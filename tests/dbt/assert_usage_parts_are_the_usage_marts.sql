-- What the reviews' lists are made of adds up to the usage marts, team by team and organization by organization.
-- Returns one row, with both sums, per period type, entity, period and measure that does not.
with

parts as (

    {% for kind, period_type in review_kinds() -%}
    {%- set outer_last = loop.last -%}
    {%- for key in ['organization_id', 'team_id'] %}
    select
        '{{ kind }}' as review_kind,
        '{{ key }}' as entity_kind,
        {{ key }} as entity_id,
        period_start_date,
        coalesce(sum(job_count), 0) as job_count,
        coalesce(sum(failed_job_count), 0) as failed_job_count,
        coalesce(sum(call_count), 0) as call_count,
        coalesce(sum(total_tokens), 0) as total_tokens,
        coalesce(sum(client_cost_usd), 0) as client_cost_usd,
        coalesce(sum(provider_cost_usd), 0) as provider_cost_usd,
        coalesce(sum(credits_used), 0) as credits_used

    from {{ ref('int_usage_parts_by_' ~ period_type) }}
    group by {{ key }}, period_start_date
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {%- endfor -%}
    {%- endfor %}

),

marts as (

    {% for kind, period_type in review_kinds() -%}
    {%- set outer_last = loop.last -%}
    {%- for key in ['organization_id', 'team_id'] %}
    select
        '{{ kind }}' as review_kind,
        '{{ key }}' as entity_kind,
        {{ key }} as entity_id,
        period_start_date,
        job_count,
        failed_job_count,
        call_count,
        total_tokens,
        coalesce(client_cost_usd, 0) as client_cost_usd,
        coalesce(provider_cost_usd, 0) as provider_cost_usd,
        credits_used

    from {{ ref(key | replace('_id', '') ~ '_usage_' ~ kind) }}
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {%- endfor -%}
    {%- endfor %}

)

select
    coalesce(parts.review_kind, marts.review_kind) as review_kind,
    coalesce(parts.entity_id, marts.entity_id) as entity_id,
    coalesce(parts.period_start_date, marts.period_start_date) as period_start_date,
    parts.job_count as part_job_count,
    marts.job_count as mart_job_count,
    parts.client_cost_usd as part_client_cost_usd,
    marts.client_cost_usd as mart_client_cost_usd

from parts

full join marts
    on
        parts.review_kind = marts.review_kind
        and parts.entity_kind = marts.entity_kind
        and parts.entity_id = marts.entity_id
        and parts.period_start_date = marts.period_start_date

where
    parts.entity_id is null
    or marts.entity_id is null
    {%- for measure in [
        'job_count', 'failed_job_count', 'call_count', 'total_tokens', 'client_cost_usd', 'provider_cost_usd', 'credits_used',
    ] %}
    or parts.{{ measure }} <> marts.{{ measure }}
    {%- endfor %}
