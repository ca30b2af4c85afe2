{#-
    Grain: one row per team and period, the month ('2026-11') or the day ('2026-11-22'):
    the table that nothing on the platform ever fills.
-#}
with

months as (

    {{ team_usage_summary_rows('monthly', 7) }}

),

days as (

    {{ team_usage_summary_rows('daily', 10) }}

),

final as (

    select * from months
    union all
    select * from days

)

select * from final
