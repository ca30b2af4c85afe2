{#-
    Grain: one row per kind of review, scope, metric and comparable period: the baseline
    after it, by which the next one is judged.
-#}
{{ replaced_when_one_touched(review_periods_touched()) }}
{%- set money = 'numeric(28, 8)' -%}
with

walked as (

    select * from {{ ref('int_baselines_walked') }}
    where {{ is_one_touched(review_periods_touched()) }}

),

means as (

    select
        *,
        {{ money_ratio('value_sum', 'period_count') }} as mean_value,
        {{ money_ratio('range_sum', 'range_count') }} as mean_moving_range

    from walked

),

reaches as (

    select
        *,
        -- too few periods reach nowhere: no limits
        case when period_count >= {{ review_rule('minimum_periods') }}
            then cast(mean_moving_range * {{ review_rule('limit_factor') }} as {{ money }})
        end as reach

    from means

),

final as (

    select
        {{ review_keys('reaches') }},
        reaches.period_start_date,
        reaches.metric,
        reaches.baseline_start_date,
        case
            when reaches.reach is null then 'none'
            when reaches.period_count >= {{ review_rule('baseline_periods') }} then 'locked'
            else 'trial'
        end as baseline_state,
        reaches.reason,
        reaches.period_count,
        reaches.mean_value,
        reaches.mean_moving_range,
        -- not below or above what the metric can be
        cast(case
            when reaches.mean_value - reaches.reach < metrics.minimum_value then metrics.minimum_value
            else reaches.mean_value - reaches.reach
        end as {{ money }}) as lower_limit,
        cast(case
            when reaches.mean_value + reaches.reach > metrics.maximum_value then metrics.maximum_value
            else reaches.mean_value + reaches.reach
        end as {{ money }}) as upper_limit,
        reaches.shifted_side

    from reaches

    inner join {{ ref('review_metrics') }} as metrics
        on reaches.metric = metrics.metric

)

select * from final
