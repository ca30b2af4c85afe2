{#- Grain: one row per complete week and metric, as the review shows it. -#}

with

metrics as (

    select * from {{ ref('review_metrics') }}

),

statuses as (

    select * from {{ ref('review_weekly_statuses') }}

),

baselines as (

    select * from {{ ref('review_weekly_baselines') }}

),

headlines as (

    select * from {{ ref('review_weekly_headlines') }}

),

final as (

    select
        statuses.period_start_date,
        statuses.metric,
        cast(metrics.metric_position as integer) as metric_position,
        metrics.metric_group,
        metrics.label,
        metrics.phrase,
        metrics.is_plural,
        metrics.unit,
        metrics.higher_is,
        statuses.metric_value as value,
        statuses.previous_value,
        statuses.change,
        metrics.change_kind,
        coalesce(baselines.baseline_week_count, 0) as baseline_week_count,
        baselines.mean_value,
        baselines.lower_limit,
        baselines.upper_limit,
        statuses.status,
        statuses.tone,
        headlines.signal_position,
        case
            when headlines.headline_position <= {{ review_rule('summary_figures') }}
                then headlines.headline_position
        end as headline_position

    from statuses

    inner join metrics
        on statuses.metric = metrics.metric

    inner join headlines
        on
            statuses.period_start_date = headlines.period_start_date
            and statuses.metric = headlines.metric

    -- the first weeks have no earlier ones
    left join baselines
        on
            statuses.period_start_date = baselines.period_start_date
            and statuses.metric = baselines.metric

)

select * from final
