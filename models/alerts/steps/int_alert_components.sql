{#-
    Grain: one row per component that was probed in the seven days before the moment of evaluation: how its last
    probes went, and why nobody can say how it is.
-#}
with

probes as (

    select * from {{ ref('int_alert_probes') }}

),

newest as (

    select * from probes
    where recency = 1

),

counted as (

    select
        component,
        max(checked_at) as counted_until,
        min(case when recency_of_kind <= {{ var('alert_degraded_probes') }} then checked_at end)
        as first_of_last_at,
        min(case when answer_count = 0 then checked_at end) as failed_since,
        count(case when answer_count = 0 then 1 end) as failed_in_a_row,
        count(
            case
                when recency_of_kind <= {{ var('alert_degraded_probes') }} and verdict = 'degraded'
                    then 1
            end
        ) as slow_count,
        count(
            case
                when
                    checked_at >= {{ evaluated_at() }} - interval '1 hour'
                    and (verdict = 'down') <> (previous_verdict = 'down') then 1
            end
        ) as change_count

    from probes
    where is_counted
    group by component

),

final as (

    select
        newest.component,
        newest.is_required,
        counted.counted_until,
        counted.first_of_last_at,
        counted.failed_since,
        counted.failed_in_a_row,
        counted.slow_count,
        counted.change_count,
        case
            when
                newest.checked_at
                < {{ evaluated_at() }}
                - {{ var('alert_probe_stale_intervals') }} * newest.interval_seconds * interval '1 second'
                then 'the monitor is down or the component is no longer probed: no probe for '
                    || '{{ var("alert_probe_stale_intervals") }} intervals'
            when newest.is_in_maintenance then 'planned maintenance'
            when not newest.is_counted then 'the last probe could not tell'
        end as unknown_reason

    from newest

    -- one whose probes were all in maintenance or could not tell
    left join counted on newest.component = counted.component

)

select * from final
