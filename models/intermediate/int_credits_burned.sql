{#-
    Grain: one row per team with a ledger row, with the credits it used over the last
    complete local days, as many as the burn window and its history have.
-#}
with

complete_days as (

    select
        calendar_date,
        row_number() over (order by calendar_date desc) as days_back

    from {{ ref('dim_dates') }}
    where is_complete

),

burn_window as (

    select calendar_date
    from complete_days
    where days_back <= {{ var('burn_window_days') }}

),

statements as (

    select
        team_id,
        period_start_date as calendar_date,
        credits_used

    from {{ ref('credit_usage_daily') }}

),

teams as (

    select
        team_id,
        min(calendar_date) as first_ledger_date

    from statements
    group by team_id

),

days_of_history as (

    select
        teams.team_id,
        count(burn_window.calendar_date) as burn_days

    from teams

    left join burn_window
        on teams.first_ledger_date <= burn_window.calendar_date

    group by teams.team_id

),

burned as (

    select
        statements.team_id,
        cast(sum(statements.credits_used) as bigint) as credits_burned

    from statements

    inner join burn_window
        on statements.calendar_date = burn_window.calendar_date

    group by statements.team_id

),

final as (

    select
        days_of_history.team_id,
        days_of_history.burn_days,
        coalesce(burned.credits_burned, 0) as credits_burned

    from days_of_history

    -- nothing used in the window
    left join burned
        on days_of_history.team_id = burned.team_id

)

select * from final
