{#- Grain: one row per complete week and model group with a successful call. -#}
with

weeks as (

    select period_start_date from {{ ref('platform_usage_weekly') }}
    where is_complete

),

group_latencies as (

    select * from {{ ref('int_group_latencies_by_week') }}

),

final as (

    select
        group_latencies.period_start_date,
        cast(row_number() over (
            partition by group_latencies.period_start_date
            order by group_latencies.latency_p95_ms desc, group_latencies.model_group asc
        ) as integer) as list_position,
        group_latencies.model_group,
        group_latencies.latency_call_count,
        cast(group_latencies.latency_p50_ms as numeric(18, 3)) as latency_p50_ms,
        cast(group_latencies.latency_p95_ms as numeric(18, 3)) as latency_p95_ms,
        cast(group_latencies.latency_p99_ms as numeric(18, 3)) as latency_p99_ms,
        cast(group_latencies.latency_max_ms as numeric(18, 3)) as latency_max_ms,
        cast(previous.latency_p95_ms as numeric(18, 3)) as previous_latency_p95_ms

    from group_latencies

    inner join weeks
        on group_latencies.period_start_date = weeks.period_start_date

    -- a group not called the week before
    left join group_latencies as previous
        on
            group_latencies.period_start_date = {{ period_end('previous.period_start_date', 'week') }}
            and group_latencies.model_group = previous.model_group

    where group_latencies.latency_call_count > 0

)

select * from final
