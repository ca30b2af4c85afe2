{#- Grain: one row per week, metric and earlier week that sets the week's natural limits. -#}

{%- set baseline_days = 7 * review_rule('baseline_weeks') -%}

with

metric_values as (

    select
        period_start_date,
        metric,
        is_comparable,
        is_complete,
        metric_value

    from {{ ref('review_weekly_values') }}

),

earlier_weeks as (

    select
        weeks.period_start_date,
        weeks.metric,
        earlier.period_start_date as earlier_start_date,
        earlier.metric_value,
        lag(earlier.metric_value) over (
            partition by weeks.period_start_date, weeks.metric
            order by earlier.period_start_date
        ) as value_before

    from metric_values as weeks

    inner join metric_values as earlier
        on
            weeks.metric = earlier.metric
            and earlier.is_comparable
            and earlier.period_start_date < weeks.period_start_date
            and earlier.period_start_date >= weeks.period_start_date - interval '{{ baseline_days }} days'

    where weeks.is_complete

),

final as (

    select
        period_start_date,
        metric,
        earlier_start_date,
        metric_value,
        -- unknown on both sides of a week without a value
        cast(abs(metric_value - value_before) as numeric(28, 8)) as moving_range

    from earlier_weeks

)

select * from final
