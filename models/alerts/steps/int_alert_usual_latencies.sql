{#-
    Grain: one row per model group with its usual latencies, before the moment of evaluation: the medians of
    the baseline's days, all of them and those of the same weekday.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

days as (

    select
        latencies.model_group,
        latencies.period_start_date,
        latencies.latency_p95_ms,
        {{ duration_ratio('latencies.latency_sum_ms', 'latencies.latency_call_count') }} as latency_avg_ms,
        {{ iso_part('isodow', 'latencies.period_start_date') }}
        = {{ iso_part('isodow', 'moment.evaluated_date') }} as is_same_weekday,
        latencies.period_start_date < moment.evaluated_date - {{ var('alert_baseline_gap_days') }}
        and latencies.period_start_date
        >= moment.evaluated_date - {{ var('alert_baseline_gap_days') + var('alert_baseline_days') }} as is_baseline

    from {{ ref('int_group_latencies_by_day') }} as latencies
    cross join moment
    where
        latencies.period_start_date < moment.evaluated_date
        and latencies.period_start_date >= moment.evaluated_date - 7 * {{ var('alert_spike_weeks') }}
        -- fewer have no 95th percentile worth the name
        and latencies.latency_call_count >= 10

),

final as (

    select
        model_group,
        count(case when is_baseline then 1 end) as baseline_day_count,
        percentile_disc(0.5) within group (
            order by case when is_baseline then latency_p95_ms end
        ) as usual_p95_ms,
        percentile_disc(0.5) within group (
            order by case when is_baseline then latency_avg_ms end
        ) as usual_avg_ms,
        percentile_disc(0.5) within group (
            order by case when is_same_weekday then latency_p95_ms end
        ) as weekday_p95_ms

    from days
    group by model_group

)

select * from final
