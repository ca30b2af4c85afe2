{#- Grain: one row per component and touched local day on which a verdict held: its microseconds outside maintenance.
    It holds until the next probe, but no longer than 2.5 intervals and 12 hours: on two days at most. -#}
{{ config(materialized='ephemeral') }}
{%- set held_us = microseconds_between('starts_at', 'ends_at') %}
with

held as (

    select
        component,
        verdict,
        checked_at as starts_at,
        least(
            lead(checked_at) over (partition by component order by checked_at, probe_id),
            checked_at + least(interval_seconds, 17280) * interval '2500 milliseconds',
            {{ as_of() }}
        ) as ends_at

    from {{ ref('int_probes_checked') }}
    where {{ is_near_touched('checked_at', 'day') }}

),

dated as (

    select
        *,
        {{ local_date('starts_at') }} as first_date,
        {{ local_date("ends_at - interval '1 microsecond'") }} as last_date

    from held
    where starts_at < ends_at and verdict <> 'unknown'

),

pieces as (

    select
        component,
        verdict,
        first_date as calendar_date,
        starts_at,
        case when first_date = last_date then ends_at else {{ day_start('last_date') }} end as ends_at

    from dated

    union all

    select
        component,
        verdict,
        last_date as calendar_date,
        {{ day_start('last_date') }} as starts_at,
        ends_at

    from dated
    where first_date < last_date

),

-- overlaps of maintenance are taken away again: they end before they start
measured as (

    select * from pieces

    union all

    select
        pieces.component,
        pieces.verdict,
        pieces.calendar_date,
        least(pieces.ends_at, stretches.ends_at) as starts_at,
        greatest(pieces.starts_at, stretches.starts_at) as ends_at

    from pieces

    inner join {{ ref('int_maintenance_stretches') }} as stretches
        on
            pieces.component = stretches.component
            and pieces.starts_at < stretches.ends_at and pieces.ends_at > stretches.starts_at

),

final as (

    select
        component,
        calendar_date,
        {%- for verdict in ['up', 'degraded', 'down'] %}
        sum(case when verdict = '{{ verdict }}' then {{ held_us }} else 0 end) as {{ verdict }}_us
        {{- "," if not loop.last }}
        {%- endfor %}

    from measured
    where {{ is_touched('calendar_date', 'day') }}
    group by component, calendar_date

)

select * from final
