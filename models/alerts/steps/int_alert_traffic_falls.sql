{#-
    Grain: one row per platform, organization and team on the last complete day: how far its jobs are below
    what its weekday has, and whether it has fallen silent.
-#}
with

of_day as (

    select * from {{ ref('int_alert_usual_values') }}
    where measure = 'jobs'

),

silences as (

    select * from {{ ref('int_alert_silences') }}

),

final as (

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
        of_day.usual_value >= {{ var('alert_traffic_drop_floor_jobs') }}
        and of_day.distance > of_day.largest_usual_distance as has_fallen,
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
            of_day.scope_kind = silences.scope_kind
            and of_day.scope_id = silences.scope_id

)

select * from final
