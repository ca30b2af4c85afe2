{#- Grain: one row per kind of review, scope, period and metric that the kind and scope have. -#}
{%- set of_usage = [
    'job_count', 'call_count', 'total_tokens', 'active_team_count', 'active_user_count', 'failure_rate',
    'call_failure_rate', 'latency_p50_ms', 'latency_p95_ms', 'p95_job_seconds', 'client_cost_usd',
    'provider_cost_usd', 'margin_usd', 'avg_cost_per_job_usd', 'credits_used', 'credits_added',
] -%}
with

scope_periods as (

    select * from {{ ref('int_scope_periods') }}

),

metrics as (

    select * from {{ ref('review_metrics') }}

),

payments as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        period_start_date,
        -- null where every payment of the period is unreadable
        sum(payments_usd) as payments_usd

    from {{ ref('revenue_' ~ kind) }}
    where payment_count > 0
    group by period_start_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('scope_periods') }},
        scope_periods.period_start_date,
        scope_periods.period_end_date,
        metrics.metric,
        scope_periods.is_complete,
        scope_periods.is_comparable,
        case metrics.metric
            {%- for metric in of_usage %}
            when '{{ metric }}' then cast(scope_periods.{{ metric }} as numeric(28, 8))
            {%- endfor %}
            when 'payments_usd'
                then cast(
                    case when payments.review_kind is null then 0 else payments.payments_usd end as numeric(28, 8)
                )
            when 'margin_rate'
                then cast({{ ratio('scope_periods.margin_usd', 'scope_periods.client_cost_usd') }} as numeric(28, 8))
            when 'provider_cost_per_credit_usd'
                then {{ money_ratio('scope_periods.provider_cost_usd', 'scope_periods.credits_used') }}
        end as metric_value,
        cast(case
            when not metrics.is_observed then null
            when metrics.metric in ('failure_rate', 'p95_job_seconds') then scope_periods.finished_job_count
            when metrics.metric = 'avg_cost_per_job_usd' then scope_periods.job_count
            when metrics.metric = 'call_failure_rate' then scope_periods.call_count
            else scope_periods.successful_call_count
        end as bigint) as observation_count

    from scope_periods

    inner join metrics
        on
            case scope_periods.review_kind when 'weekly' then metrics.in_weekly else metrics.in_monthly end
            and case scope_periods.scope_kind
                when 'platform' then metrics.of_platform
                when 'organization' then metrics.of_organization
                else metrics.of_team
            end

    -- a period without a payment
    left join payments
        on
            scope_periods.scope_kind = 'platform'
            and scope_periods.review_kind = payments.review_kind
            and scope_periods.period_start_date = payments.period_start_date

)

select * from final
