-- In whatever zone the marts are cut: a day's first instant is on that day, the microsecond
-- before it on the day before, and days are 22 to 26 hours long; in UTC it is midnight.
-- Returns the days of 2024 to 2028 of which that is not so.
with

calendar as (

    select {{ days("cast('2024-01-01' as date)", "cast('2028-12-31' as date)") }} as calendar_date

),

started as (

    select
        calendar_date,
        cast(calendar_date as timestamp) as midnight,
        cast(calendar_date - interval '1 day' as date) as day_before,
        {{ day_start('calendar_date') }} as starts_at,
        {{ day_start("cast(calendar_date + interval '1 day' as date)") }} as ends_at

    from calendar

)

select *
from started
where
    {{ local_date('starts_at') }} <> calendar_date
    or {{ local_date("starts_at - interval '1 microsecond'") }} <> day_before
    or ends_at not between starts_at + interval '22 hours' and starts_at + interval '26 hours'
    or ('{{ var("reporting_timezone") }}' = 'UTC' and starts_at <> midnight)
