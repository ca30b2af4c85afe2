{#-
    Grain: one row per component and touched local day with a probe. An incident starts with a failed probe,
    unless the last probe that could tell, in the 24 hours before, had failed too.
-#}
{{ config(materialized='ephemeral') }}
with

probes as (

    select
        *,
        verdict <> 'unknown' and not is_in_maintenance as is_counted

    from {{ ref('int_probes_checked') }}
    where {{ is_near_touched('checked_at', 'day') }}

),

compared as (

    select
        component,
        checked_at,
        is_counted and verdict = 'down' as is_failed,
        -- probes that count and those that do not are two rows of their own
        lag(verdict) over (partition by component, is_counted order by checked_at, probe_id) as previous_verdict,
        lag(checked_at) over (partition by component, is_counted order by checked_at, probe_id) as previous_at

    from probes

),

final as (

    select
        component,
        {{ local_date('checked_at') }} as calendar_date,
        count(*) as probe_count,
        count(
            case
                when not is_failed then null
                when previous_verdict = 'down' and previous_at > checked_at - interval '24 hours' then null
                else 1
            end
        ) as incident_count

    from compared
    group by component, {{ local_date('checked_at') }}

)

select * from final
where {{ is_touched('calendar_date', 'day') }}
