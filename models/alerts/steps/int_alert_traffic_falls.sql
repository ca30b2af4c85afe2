{#-
    Grain: one row per platform, organization, team and measure (jobs, calls) on the last complete day: how far it is
    below what its weekday has, and the place among its scope's measures: 1 is the one that is told.

    Silence is of jobs. Calls are looked at where their weekday has enough of them: their jobs may still come.
-#}
{%- set floors = {
    'jobs': var('alert_traffic_drop_floor_jobs'), 'calls': var('alert_traffic_drop_floor_calls'),
} -%}
with

values_of_day as (

    select * from {{ ref('int_alert_usual_values') }}
    where measure = 'jobs' or measure = 'calls' and usual_value >= {{ floors['calls'] }}

),

silences as (

    select * from {{ ref('int_alert_silences') }}

),

of_day as (

    select
        values_of_day.*,
        coalesce(overrides.threshold, {{ var('alert_traffic_drop_fires') }}) as fires_above,
        coalesce(overrides.clear_threshold, {{ var('alert_traffic_drop_clears') }}) as clears_at

    from values_of_day

    {{ join_alert_overrides('values_of_day', 'traffic_drop') }}

),

judged as (

    select
        of_day.*,
        coalesce(silences.silent_days, 0) as silent_days,
        coalesce(silences.silent_days, 0) > coalesce(silences.longest_silent_days, 0)
        and (
            silences.missed_jobs >= {{ var('alert_silence_jobs') }}
            -- two days in a row without a job say more of a scope that hardly ever has one
            or (
                silences.missed_jobs >= {{ var('alert_rare_silence_jobs') }}
                and silences.silent_days >= 2
                and of_day.day_count >= {{ var('alert_rare_silence_days') }}
                and silences.earlier_silent_days * {{ var('alert_rare_silence_days') }} <= of_day.day_count
            )
        ) as is_silent,
        coalesce(
            of_day.usual_value >= case of_day.measure
                {%- for measure, floor in floors.items() %}
                when '{{ measure }}' then {{ floor }}
                {%- endfor %}
            end
            and of_day.distance > of_day.largest_usual_distance,
            false
        ) as has_fallen,
        case
            when of_day.usual_value > 0
                then {{ exact_ratio('of_day.usual_value - of_day.value', 'of_day.usual_value', 8) }}
            -- of nothing nothing is missing, but the days before may be
            when silences.silent_days > 0 then 1
            else 0
        end as fall_share

    from of_day

    -- a scope that was active on the last day and never silent
    left join silences
        on
            of_day.measure = 'jobs'
            and of_day.scope_kind = silences.scope_kind
            and of_day.scope_id = silences.scope_id

),

final as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            order by
                case when (is_silent or has_fallen) and fall_share > fires_above then 0 else 1 end,
                fall_share desc,
                measure desc
        ) as place

    from judged

)

select * from final
