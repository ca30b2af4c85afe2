{#- Grain: one row per complete week with earlier ones, and metric: its natural limits. -#}

with

ranges as (

    select
        period_start_date,
        metric,
        count(metric_value) as baseline_week_count,
        sum(metric_value) as value_sum,
        count(moving_range) as range_count,
        sum(moving_range) as range_sum

    from {{ ref('review_weekly_ranges') }}
    group by period_start_date, metric

),

means as (

    select
        *,
        {{ money_ratio('value_sum', 'baseline_week_count') }} as mean_value,
        {{ money_ratio('range_sum', 'range_count') }} as mean_moving_range

    from ranges

),

reaches as (

    select
        *,
        -- too few weeks reach nowhere: no limits
        case when baseline_week_count >= {{ review_rule('minimum_weeks') }}
            then mean_moving_range * {{ review_rule('limit_factor') }}
        end as reach

    from means

),

final as (

    select
        reaches.period_start_date,
        reaches.metric,
        cast(reaches.baseline_week_count as integer) as baseline_week_count,
        reaches.mean_value,
        reaches.mean_moving_range,
        -- not below or above what the metric can be
        cast(case
            when reaches.mean_value - reaches.reach < metrics.minimum_value then metrics.minimum_value
            else reaches.mean_value - reaches.reach
        end as numeric(28, 8)) as lower_limit,
        cast(case
            when reaches.mean_value + reaches.reach > metrics.maximum_value then metrics.maximum_value
            else reaches.mean_value + reaches.reach
        end as numeric(28, 8)) as upper_limit

    from reaches

    inner join {{ ref('review_metrics') }} as metrics
        on reaches.metric = metrics.metric

)

select * from final
