{#- Grain: one row per monthly review and metric: the last whole weeks up to it, when there are enough. -#}
{%- set weeks = review_rule('forecast_weeks') -%}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and is_complete

),

last_weeks as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        points.metric,
        points.metric_value,
        row_number() over (
            partition by {{ review_keys('reviews') }}, reviews.period_start_date, points.metric
            order by points.period_start_date desc
        ) as weeks_back

    from reviews

    inner join {{ ref('review_values') }} as points
        on
            points.review_kind = 'weekly'
            and reviews.scope_kind = points.scope_kind
            and reviews.scope_id = points.scope_id
            and reviews.period_end_date >= points.period_end_date
            and points.period_end_date > reviews.period_end_date - interval '{{ weeks + 1 }} week'
            and points.is_comparable

    where points.metric in ('job_count', 'client_cost_usd', 'credits_used')

),

paces as (

    select
        {{ review_keys() }},
        period_start_date,
        metric,
        count(metric_value) as week_count,
        sum(metric_value) as value_sum,
        min(metric_value) as slowest,
        max(metric_value) as fastest

    from last_weeks
    where weeks_back <= {{ weeks }}
    group by {{ review_keys() }}, period_start_date, metric
    having count(metric_value) = {{ weeks }}

)

select * from paces
