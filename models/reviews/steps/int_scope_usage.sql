{#-
    Grain: one row per kind of review, scope and period with activity; the platform has
    every period. The measures that reviews judge, and what stands behind the rates.
-#}
with

scopes as (

    {% for kind, period_type in review_kinds() -%}
    {%- set outer_last = loop.last -%}
    {%- for scope_kind, key in [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ kind }}' as review_kind,
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        period_start_date,
        period_end_date,
        is_complete,
        job_count,
        completed_job_count + failed_job_count + cancelled_job_count as finished_job_count,
        open_job_count,
        call_count,
        call_count - failed_call_count as successful_call_count,
        unpriced_call_count,
        total_tokens,
        active_team_count,
        active_user_count,
        failure_rate,
        call_failure_rate,
        latency_p50_ms,
        latency_p95_ms,
        p95_job_seconds,
        client_cost_usd,
        provider_cost_usd,
        margin_usd,
        avg_cost_per_job_usd,
        credits_used,
        credits_added

    from {{ ref(scope_kind ~ '_usage_' ~ kind) }}
    {%- if key %}
    -- what no tenant is known for has no review
    where {{ key }} <> 'unassigned'
    {%- endif %}
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {%- endfor %}

)

select * from scopes
