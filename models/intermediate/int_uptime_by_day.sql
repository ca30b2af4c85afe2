{#- Grain: one row per component and touched local day, from its first probe to as_of; what adds up over days. -#}
{{ config(materialized='ephemeral') }}
with

component_days as (

    select
        component,
        first_checked_at,
        {{ days(local_date('first_checked_at'), local_date(as_of() ~ " - interval '1 microsecond'")) }} as calendar_date

    from {{ ref('int_components') }}

),

watched as (

    select
        component,
        calendar_date,
        greatest({{ day_start('calendar_date') }}, first_checked_at) as starts_at,
        least({{ day_start("cast(calendar_date + interval '1 day' as date)") }}, {{ as_of() }}) as ends_at

    from component_days
    where {{ is_touched('calendar_date', 'day') }}

),

maintained as (

    select
        watched.component,
        watched.calendar_date,
        sum(
            {{ microseconds_between(
                'greatest(watched.starts_at, stretches.starts_at)', 'least(watched.ends_at, stretches.ends_at)'
            ) }}
        ) as maintenance_us

    from watched

    inner join {{ ref('int_maintenance_stretches') }} as stretches
        on
            watched.component = stretches.component
            and watched.starts_at < stretches.ends_at
            and watched.ends_at > stretches.starts_at

    group by watched.component, watched.calendar_date

),

added_up as (

    select
        watched.component,
        watched.calendar_date,
        coalesce(probes.probe_count, 0) as probe_count,
        coalesce(probes.incident_count, 0) as incident_count,
        {{ microseconds_between('watched.starts_at', 'watched.ends_at') }} as elapsed_us,
        coalesce(verdicts.up_us, 0) + coalesce(verdicts.degraded_us, 0) as up_us,
        coalesce(verdicts.degraded_us, 0) as degraded_us,
        coalesce(verdicts.down_us, 0) as down_us,
        coalesce(maintained.maintenance_us, 0) as maintenance_us

    from watched

    -- a day on which nothing was probed, known or maintained
    left join {{ ref('int_probes_by_day') }} as probes
        on watched.component = probes.component and watched.calendar_date = probes.calendar_date

    left join {{ ref('int_verdicts_by_day') }} as verdicts
        on watched.component = verdicts.component and watched.calendar_date = verdicts.calendar_date

    left join maintained
        on watched.component = maintained.component and watched.calendar_date = maintained.calendar_date

),

final as (

    select
        component,
        calendar_date as period_start_date,
        probe_count,
        incident_count,
        {%- for part in ['elapsed', 'up', 'degraded', 'down', 'maintenance'] %}
        {{ exact_seconds(part ~ '_us') }} as {{ part }}_seconds,
        {%- endfor %}
        {{ exact_seconds('elapsed_us - up_us - down_us - maintenance_us') }} as unknown_seconds

    from added_up

)

select * from final
