{#-
    Grain: one row per window of the dashboard: today so far, and the same wall-clock
    hours of yesterday and of the same weekday last week.
-#}
{{ config(tags=['each_build']) }}
with

today as (

    select
        {{ local_date(as_of() ~ " - interval '1 microsecond'") }} as calendar_date,
        {{ in_time_zone(as_of()) }} as local_until

),

final as (

    {% for window, days_back in [('today', 0), ('yesterday', 1), ('last_week', 7)] -%}
    select
        '{{ window }}' as dashboard_window,
        cast(calendar_date - interval '{{ days_back }} days' as date) as calendar_date,
        local_until - interval '{{ days_back }} days' as local_until

    from today
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
