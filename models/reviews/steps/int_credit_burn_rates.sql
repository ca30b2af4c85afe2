{#-
    Grain: one row per team with a ledger row: its fastest and slowest burn per day over
    the last 7, 14 and 28 complete days, of those windows that its history fills.
-#}
{%- set windows = [7, 14, 28] -%}
with

complete_days as (

    select
        calendar_date,
        row_number() over (order by calendar_date desc) as days_back

    from {{ ref('dim_dates') }}
    where is_complete

),

teams as (

    select
        team_id,
        min(period_start_date) as first_date

    from {{ ref('credit_usage_daily') }}
    group by team_id

),

histories as (

    select
        teams.team_id,
        max(complete_days.days_back) as history_days

    from teams

    inner join complete_days
        on teams.first_date <= complete_days.calendar_date

    group by teams.team_id

),

burned as (

    select
        statements.team_id,
        {%- for days in windows %}
        cast(sum(case when complete_days.days_back <= {{ days }} then statements.credits_used else 0 end) as bigint)
            as burned_{{ days }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('credit_usage_daily') }} as statements

    inner join complete_days
        on statements.period_start_date = complete_days.calendar_date

    group by statements.team_id

),

rates as (

    {% for days in windows -%}
    select
        histories.team_id,
        {{ ratio('burned.burned_' ~ days, days) }} as burn_per_day

    from histories

    inner join burned
        on histories.team_id = burned.team_id

    where histories.history_days >= {{ days }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        team_id,
        max(burn_per_day) as fastest_burn_per_day,
        min(burn_per_day) as slowest_burn_per_day

    from rates
    group by team_id

)

select * from final
