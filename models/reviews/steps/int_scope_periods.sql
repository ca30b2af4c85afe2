{#-
    Grain: one row per kind of review, scope and period from the scope's first activity
    on; a silent period is a row of zeros, and has no rates.
-#}
with

usage as (

    select * from {{ ref('int_scope_usage') }}

),

first_days as (

    {% for scope_kind, key in [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        min(period_start_date) as first_date

    from {{ ref(scope_kind ~ '_usage_daily') }}
    {%- if key %}
    where {{ key }} <> 'unassigned'
    group by {{ key }}
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

periods as (

    select
        review_kind,
        period_start_date,
        period_end_date,
        is_complete

    from usage
    where scope_kind = 'platform'

),

final as (

    select
        periods.review_kind,
        first_days.scope_kind,
        first_days.scope_id,
        periods.period_start_date,
        periods.period_end_date,
        {{ earlier_period('periods.period_start_date', 'periods.review_kind') }} as previous_period_start_date,
        periods.is_complete,
        -- a period that the scope's first day cut short is none to compare with
        periods.is_complete and periods.period_start_date >= first_days.first_date as is_comparable,
        periods.period_start_date < first_days.first_date as is_first,
        usage.period_start_date is not null as has_row,
        {%- for measure in [
            'job_count', 'finished_job_count', 'open_job_count', 'call_count', 'successful_call_count',
            'unpriced_call_count', 'total_tokens', 'active_team_count', 'active_user_count', 'client_cost_usd',
            'provider_cost_usd', 'margin_usd', 'credits_used', 'credits_added',
        ] %}
        case when usage.period_start_date is null then 0 else usage.{{ measure }} end as {{ measure }},
        {%- endfor %}
        usage.failure_rate,
        usage.call_failure_rate,
        usage.latency_p50_ms,
        usage.latency_p95_ms,
        usage.p95_job_seconds,
        usage.avg_cost_per_job_usd

    from periods

    inner join first_days
        on periods.period_end_date > first_days.first_date

    -- a silent period of a tenant
    left join usage
        on
            periods.review_kind = usage.review_kind
            and first_days.scope_kind = usage.scope_kind
            and first_days.scope_id = usage.scope_id
            and periods.period_start_date = usage.period_start_date

)

select * from final
