{#-
    Uptime of components for one period type. Seconds and counts are the sums of the days, latencies are from
    single probes.
-#}
{%- macro component_uptime_by_period(period_type) -%}
{{ replaced_when_touched('period_start_date', period_type) }}
{%- set parts = ['elapsed', 'up', 'degraded', 'down', 'unknown', 'maintenance'] -%}
{%- set start_of_probe = period_start(local_date('checked_at'), period_type) %}
with

days as (

    select
        *,
        {{ period_start('period_start_date', period_type) }} as start_date

    from {{ ref('int_uptime_by_day' if period_type == 'day' else 'component_uptime_daily') }}

),

added_up as (

    select
        component,
        start_date as period_start_date,
        {{ period_end('start_date', period_type) }} as period_end_date,
        cast(sum(probe_count) as bigint) as probe_count,
        cast(sum(incident_count) as bigint) as incident_count,
        {%- for part in parts %}
        cast(sum({{ part }}_seconds) as numeric(18, 6)) as {{ part }}_seconds
        {{- "," if not loop.last }}
        {%- endfor %}

    from days
    where {{ is_touched('start_date', period_type) }}
    group by component, start_date

),

periods as (

    select
        added_up.*,
        {{ day_start('added_up.period_end_date') }} <= coverage.covered_until as is_complete

    from added_up

    cross join {{ ref('int_coverage') }} as coverage

),

latencies as (

    select
        component,
        {{ start_of_probe }} as period_start_date,
        {{ percentile('latency_us', 0.5, [0.5, 0.95]) }} as latency_p50_us,
        {{ percentile('latency_us', 0.95, [0.5, 0.95]) }} as latency_p95_us

    from {{ ref('int_probes_checked') }}
    where
        {{ is_near_touched('checked_at', period_type) }}
        and latency_us is not null
    group by component, {{ start_of_probe }}

),

final as (

    select
        periods.component,
        {{ period_columns() }},
        periods.probe_count,
        {%- for part in parts %}
        periods.{{ part }}_seconds,
        {%- endfor %}
        {{ ratio('periods.up_seconds', 'periods.up_seconds + periods.down_seconds') }} as availability,
        {{ milliseconds_from_microseconds('latencies.latency_p50_us') }} as latency_p50_ms,
        {{ milliseconds_from_microseconds('latencies.latency_p95_us') }} as latency_p95_ms,
        periods.incident_count

    from periods

    -- a period without an answer has no latency
    left join latencies
        on
            periods.component = latencies.component
            and periods.period_start_date = latencies.period_start_date

)

select * from final
{%- endmacro -%}
