{#-
    Grain: one row per monthly review and metric forecast to the end of the quarter that
    follows from it: what the quarter has so far, and its other days at the pace per day of
    the last whole weeks; the interval is at their slowest and fastest.
-#}
{%- set weeks = review_rule('forecast_weeks') -%}
with

metrics as (

    select
        metric,
        label,
        unit

    from {{ ref('review_metrics') }}
    where metric in ('job_count', 'client_cost_usd', 'credits_used')

),

reviews as (

    select
        *,
        -- a month that ends its quarter looks into the next one
        cast(date_trunc('quarter', period_end_date) as date) as quarter_start_date,
        cast(date_trunc('quarter', period_end_date) + interval '3 months' as date) as quarter_end_date

    from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and is_complete

),

so_far as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        months.metric,
        sum(months.metric_value) as so_far

    from reviews

    inner join {{ ref('review_values') }} as months
        on
            {{ same_review('reviews', 'months', period=false) }}
            and reviews.quarter_start_date <= months.period_start_date
            and reviews.period_start_date >= months.period_start_date

    group by {{ review_keys('reviews') }}, reviews.period_start_date, months.metric

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        metrics.metric,
        metrics.label,
        metrics.unit,
        cast(reviews.quarter_end_date - interval '1 day' as date) as quarter_end_date,
        cast(coalesce(so_far.so_far, 0) as numeric(28, 8)) as so_far,
        {{ day_count('reviews.period_end_date', 'reviews.quarter_end_date') }} as remaining_days,
        cast(paces.week_count as integer) as week_count,
        {%- for name, pace, days in [
            ('expected', 'value_sum', 7 * weeks), ('low', 'slowest', 7), ('high', 'fastest', 7),
        ] %}
        cast(coalesce(so_far.so_far, 0) + {{ money_ratio(
            'paces.' ~ pace ~ ' * ' ~ day_count('reviews.period_end_date', 'reviews.quarter_end_date'), days
        ) }} as numeric(28, 8)) as {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from reviews

    inner join {{ ref('int_forecast_paces') }} as paces
        on {{ same_review('reviews', 'paces') }}

    inner join metrics
        on paces.metric = metrics.metric

    -- a quarter that begins with the next month
    left join so_far
        on
            {{ same_review('reviews', 'so_far') }}
            and paces.metric = so_far.metric

)

select * from final
