{#- Grain: one row per complete week and metric: its value judged against its natural limits. -#}
with

metric_values as (

    select
        period_start_date,
        metric,
        metric_value,
        lag(case when is_comparable then metric_value end) over (
            partition by metric
            order by period_start_date
        ) as previous_value,
        is_complete

    from {{ ref('review_weekly_values') }}

),

baselines as (

    select * from {{ ref('review_weekly_baselines') }}

),

metrics as (

    select * from {{ ref('review_metrics') }}

),

judged as (

    select
        metric_values.period_start_date,
        metric_values.metric,
        metric_values.metric_value,
        metric_values.previous_value,
        case
            when metric_values.metric_value is null or baselines.upper_limit is null then 'not enough data'
            when metric_values.metric_value > baselines.upper_limit then 'above limit'
            when metric_values.metric_value < baselines.lower_limit then 'below limit'
            else 'normal'
        end as status

    from metric_values

    -- the first weeks have no earlier ones
    left join baselines
        on
            metric_values.period_start_date = baselines.period_start_date
            and metric_values.metric = baselines.metric

    where metric_values.is_complete

),

final as (

    select
        judged.period_start_date,
        judged.metric,
        judged.metric_value,
        judged.previous_value,
        judged.status,
        case
            when judged.status not in ('above limit', 'below limit') then 'none'
            when metrics.higher_is = 'neutral' then 'neutral'
            when (judged.status = 'above limit') = (metrics.higher_is = 'worse') then 'bad'
            else 'good'
        end as tone,
        case
            when metrics.change_kind = 'points'
                then cast(judged.metric_value - judged.previous_value as numeric(18, 6))
            when judged.previous_value > 0
                then {{ ratio('(judged.metric_value - judged.previous_value)', 'judged.previous_value') }}
        end as change

    from judged

    inner join metrics
        on judged.metric = metrics.metric

)

select * from final
