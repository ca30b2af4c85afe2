{#- Grain: one row per probe; latency only of probes that were answered, outside maintenance. -#}
{{ config(tags=['each_build']) }}
with

probes as (

    select
        probe_id,
        component,
        case when verdict in ('up', 'degraded', 'down') then verdict else 'unknown' end as verdict,
        latency_ms,
        greatest(interval_seconds, 0) as interval_seconds,
        checked_at

    from {{ ref('stg_ops__health_probes') }}
    where {{ exists_at_as_of('checked_at') }}

),

final as (

    select
        probes.probe_id,
        probes.component,
        probes.verdict,
        case
            when stretches.component is null and probes.verdict in ('up', 'degraded')
                then cast(probes.latency_ms * 1000 as bigint)
        end as latency_us,
        stretches.component is not null as is_in_maintenance,
        probes.interval_seconds,
        probes.checked_at

    from probes

    -- most probes are made outside maintenance
    left join {{ ref('int_maintenance_stretches') }} as stretches
        on
            probes.component = stretches.component
            and probes.checked_at >= stretches.starts_at
            and probes.checked_at < stretches.ends_at

)

select * from final
