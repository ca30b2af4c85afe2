{#- Grain: one row per complete week, metric and week of its sparkline. -#}

{#- the weeks of the baseline and the week itself -#}
{%- set weeks_shown = review_rule('baseline_weeks') + 1 -%}

with

metric_values as (

    select
        period_start_date,
        metric,
        metric_value,
        is_complete

    from {{ ref('review_weekly_values') }}

),

final as (

    select
        weeks.period_start_date,
        weeks.metric,
        -- the week itself has the last place, whatever is missing before it
        cast(
            {{ weeks_shown }} - (weeks.period_start_date - points.period_start_date) / 7 as integer
        ) as week_position,
        points.period_start_date as point_start_date,
        points.metric_value as value

    from metric_values as weeks

    inner join metric_values as points
        on
            weeks.metric = points.metric
            and points.period_start_date <= weeks.period_start_date
            and points.period_start_date > weeks.period_start_date - interval '{{ 7 * weeks_shown }} days'

    where weeks.is_complete

)

select * from final
