{#-
    Grain: one row per kind of review, scope, job type, error class and period, and organization and team behind it;
    of tenants as far back as their reviews reach.
-#}
{%- set kept = {
    'weekly': ('week', ref('int_error_parts_by_week')),
    'monthly': ('month', ref('int_error_parts_by_month')),
} -%}
with

final as (

    {% for kind, (period_type, parts) in kept.items() -%}
    {%- set outer_last = loop.last -%}
    {%- for scope_kind, key in [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ kind }}' as review_kind,
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        organization_id,
        team_id,
        job_type,
        error_class,
        period_start_date,
        failed_job_count,
        failed_call_count,
        wasted_cost_usd

    from {{ parts }}
    {%- if key %}
    where
        {{ key }} <> 'unassigned'
        and period_start_date >= {{ tenants_reviewed_from(period_type, before=1) }}
    {%- endif %}
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {%- endfor %}

)

select * from final
