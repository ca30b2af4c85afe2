{#- Grain: one row per review and metric: what its status means, and its place among the signals and in the summary. -#}
with

toned as (

    select
        {{ review_keys('statuses') }},
        statuses.period_start_date,
        statuses.metric,
        metrics.metric_position,
        metrics.headline_rank,
        statuses.status not in ('normal', 'not enough data') as is_signal,
        case
            when statuses.status in ('normal', 'not enough data') then 'none'
            when metrics.higher_is = 'neutral' then 'neutral'
            when (statuses.status in ('above limit', 'shift up', 'drift up')) = (metrics.higher_is = 'worse')
                then 'bad'
            else 'good'
        end as tone

    from {{ ref('int_review_statuses') }} as statuses

    inner join {{ ref('review_metrics') }} as metrics
        on statuses.metric = metrics.metric

),

signals as (

    select
        *,
        -- what got worse comes first
        case when is_signal then row_number() over (
            partition by {{ review_keys() }}, period_start_date, is_signal
            order by case when tone = 'bad' then 0 else 1 end, metric_position
        ) end as signal_position

    from toned

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        metric,
        tone,
        cast(signal_position as integer) as signal_position,
        -- without a signal the fixed figures stand in
        cast(row_number() over (
            partition by {{ review_keys() }}, period_start_date
            order by signal_position nulls last, headline_rank nulls last, metric_position
        ) as integer) as headline_position

    from signals

)

select * from final
