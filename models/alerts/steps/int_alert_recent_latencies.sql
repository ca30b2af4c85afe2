{#-
    Grain: one row per model group with a successful call in the seven days before the moment of evaluation:
    its latencies in the shortest of a day, three days and a week that holds enough calls, beside the usual
    ones, with the calls that were slower than each limit.
-#}
with

calls as (

    select * from {{ ref('int_alert_calls') }}
    where latency_ms is not null

),

limits as (

    select * from {{ ref('int_alert_latency_limits') }}

),

windowed as (

    select
        limits.*,
        calls.job_id,
        calls.latency_ms,
        calls.created_at >= {{ evaluated_at() }} - interval '24 hours' as is_of_day

    from calls

    inner join limits
        on
            calls.model_group = limits.model_group
            and calls.created_at >= {{ evaluated_at() }} - limits.window_hours * interval '1 hour'

),

final as (

    select
        model_group,
        max(window_hours) as window_hours,
        max(baseline_day_count) as baseline_day_count,
        max(usual_p95_ms) as usual_p95_ms,
        max(usual_avg_ms) as usual_avg_ms,
        max(weekday_p95_ms) as weekday_p95_ms,
        max(p95_threshold_ms) as p95_threshold_ms,
        max(p95_clear_threshold_ms) as p95_clear_threshold_ms,
        count(*) as call_count,
        {{ percentile('latency_ms', 0.95) }} as latency_p95_ms,
        {{ duration_ratio('sum(latency_ms)', 'count(*)') }} as latency_avg_ms,
        cast(count(case when latency_ms > p95_threshold_ms then 1 end) as numeric(18, 0)) as slow_count,
        count(distinct case when latency_ms > p95_threshold_ms then job_id end) as slow_job_count,
        count(case when is_of_day then 1 end) as call_count_of_day,
        count(case when is_of_day and latency_ms > p95_threshold_ms then 1 end) as slow_count_of_day,
        cast(count(case when latency_ms > usual_p95_ms then 1 end) as numeric(18, 0)) as unusual_count,
        count(distinct case when latency_ms > usual_p95_ms then job_id end) as unusual_job_count,
        count(case when is_of_day and latency_ms > usual_p95_ms then 1 end) as unusual_count_of_day

    from windowed
    group by model_group

)

select * from final
