{#-
    Grain: one row per probe of the seven days before the moment of evaluation. Those that count could tell, outside
    maintenance that was planned by then; `recency` is 1 for the newest, `answer_count` counts answers from it on.
-#}
with

windows as (

    select
        component,
        starts_at,
        ends_at

    from {{ source('ops', 'maintenance_windows') }}
    where created_at < {{ evaluated_at() }}

),

probes as (

    select
        probe_id,
        component,
        checked_at,
        verdict,
        is_required,
        greatest(interval_seconds, 1) as interval_seconds,
        exists(
            select 1
            from windows
            where
                coalesce(windows.component, probes.component) = probes.component
                and probes.checked_at >= windows.starts_at
                and probes.checked_at < windows.ends_at
        ) as is_in_maintenance

    from {{ source('ops', 'health_probes') }} as probes
    where
        probes.checked_at < {{ evaluated_at() }}
        and probes.checked_at >= {{ evaluated_at() }} - interval '7 days'

),

judged as (

    select
        *,
        verdict in ('up', 'degraded', 'down') and not is_in_maintenance as is_counted

    from probes

),

final as (

    select
        *,
        row_number() over (partition by component order by checked_at desc, probe_id desc) as recency,
        row_number() over (
            partition by component, is_counted
            order by checked_at desc, probe_id desc
        ) as recency_of_kind,
        lag(verdict) over (partition by component, is_counted order by checked_at, probe_id) as previous_verdict,
        count(case when is_counted and verdict <> 'down' then 1 end) over (
            partition by component
            order by checked_at desc, probe_id desc
            rows between unbounded preceding and current row
        ) as answer_count

    from judged

)

select * from final
