{#- Grain: one row per week and metric of the review. -#}
with

weeks as (

    select * from {{ ref('platform_usage_weekly') }}

),

first_days as (

    select min(period_start_date) as first_date from {{ ref('platform_usage_daily') }}

),

metrics as (

    select metric from {{ ref('review_metrics') }}

),

final as (

    select
        weeks.period_start_date,
        weeks.period_end_date,
        metrics.metric,
        -- a week that the platform's first day cut short is no week to compare with
        weeks.is_complete and weeks.period_start_date >= first_days.first_date as is_comparable,
        weeks.is_complete,
        case metrics.metric
            {%- for metric in [
                'job_count', 'call_count', 'total_tokens', 'active_team_count', 'active_user_count', 'failure_rate',
                'call_failure_rate', 'latency_p50_ms', 'latency_p95_ms', 'p95_job_seconds', 'client_cost_usd',
                'provider_cost_usd', 'margin_usd', 'avg_cost_per_job_usd', 'credits_used',
            ] %}
            when '{{ metric }}' then cast(weeks.{{ metric }} as numeric(28, 8))
            {%- endfor %}
        end as metric_value,
        weeks.built_at_as_of

    from weeks

    cross join metrics

    cross join first_days

)

select * from final
