{#-
    Grain: one row per team and period, the month ('2026-11') or the day ('2026-11-22'):
    the table that nothing on the platform ever fills.
-#}
{{ replaced_when_one_touched({
    'month': "case when period_type = 'monthly' then cast(period || '-01' as date) end",
    'day': "case when period_type = 'daily' then cast(period as date) end",
}) }}
with

months as (

    {{ team_usage_summary_rows('month', 7) }}

),

days as (

    {{ team_usage_summary_rows('day', 10) }}

),

final as (

    select * from months
    union all
    select * from days

)

select * from final
