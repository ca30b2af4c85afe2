{#-
    Grain: one row per kind of review, scope, and row of the usage parts that the scope
    has: what adds up, as often as there are scopes to see it.
-#}
{%- set kept = {
    'weekly': ref('int_usage_parts_by_week'),
    'monthly': ref('int_usage_parts_by_month'),
} -%}
with

final as (

    {% for kind, parts in kept.items() -%}
    {%- set outer_last = loop.last -%}
    {%- for scope_kind, key in [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ kind }}' as review_kind,
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        part,
        team_id,
        job_type,
        model,
        period_start_date,
        job_count,
        completed_job_count,
        failed_job_count,
        cancelled_job_count,
        call_count,
        failed_call_count,
        priced_call_count,
        total_tokens,
        client_cost_usd,
        provider_cost_usd,
        credits_used

    from {{ parts }}
    {%- if key %}
    where {{ key }} <> 'unassigned'
    {%- endif %}
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {%- endfor %}

)

select * from final
