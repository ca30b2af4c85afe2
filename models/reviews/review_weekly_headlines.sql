{#- Grain: one row per complete week and metric: its place among the signals and in the summary. -#}
with

statuses as (

    select
        period_start_date,
        metric,
        tone,
        status in ('above limit', 'below limit') as is_signal

    from {{ ref('review_weekly_statuses') }}

),

metrics as (

    select
        metric,
        metric_position,
        headline_rank

    from {{ ref('review_metrics') }}

),

signals as (

    select
        statuses.period_start_date,
        statuses.metric,
        metrics.metric_position,
        metrics.headline_rank,
        -- what got worse comes first
        case when statuses.is_signal then row_number() over (
            partition by statuses.period_start_date, statuses.is_signal
            order by case when statuses.tone = 'bad' then 0 else 1 end, metrics.metric_position
        ) end as signal_position

    from statuses

    inner join metrics
        on statuses.metric = metrics.metric

),

final as (

    select
        period_start_date,
        metric,
        cast(signal_position as integer) as signal_position,
        -- without a signal the fixed figures stand in
        cast(row_number() over (
            partition by period_start_date
            order by signal_position nulls last, headline_rank nulls last, metric_position
        ) as integer) as headline_position

    from signals

)

select * from final
