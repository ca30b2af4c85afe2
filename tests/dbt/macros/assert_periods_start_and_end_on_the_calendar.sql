-- Weeks are ISO weeks (Monday to Sunday, across years), months are calendar months, ends are the first day after.
-- Returns the dates whose period starts or ends on another day.
with

cases as (

    select
        cast(cases.calendar_date as date) as calendar_date,
        cast(cases.week_start as date) as week_start,
        cast(cases.week_end as date) as week_end,
        cast(cases.month_start as date) as month_start,
        cast(cases.month_end as date) as month_end,
        cast(cases.next_day as date) as next_day

    from (values
        -- week 53 of 2026 begins on its Monday and ends in January
        ('2026-12-27', '2026-12-21', '2026-12-28', '2026-12-01', '2027-01-01', '2026-12-28'),
        ('2026-12-28', '2026-12-28', '2027-01-04', '2026-12-01', '2027-01-01', '2026-12-29'),
        ('2027-01-03', '2026-12-28', '2027-01-04', '2027-01-01', '2027-02-01', '2027-01-04'),
        ('2027-01-04', '2027-01-04', '2027-01-11', '2027-01-01', '2027-02-01', '2027-01-05'),
        -- week 1 of 2025 begins in 2024
        ('2024-12-30', '2024-12-30', '2025-01-06', '2024-12-01', '2025-01-01', '2024-12-31'),
        -- a leap day, and a February without one
        ('2028-02-29', '2028-02-28', '2028-03-06', '2028-02-01', '2028-03-01', '2028-03-01'),
        ('2026-02-28', '2026-02-23', '2026-03-02', '2026-02-01', '2026-03-01', '2026-03-01')
    ) as cases (calendar_date, week_start, week_end, month_start, month_end, next_day)

)

select *
from cases
where
    {{ period_start('calendar_date', 'day') }} <> calendar_date
    or {{ period_end('calendar_date', 'day') }} <> next_day
    or {{ period_start('calendar_date', 'week') }} <> week_start
    or {{ period_end('week_start', 'week') }} <> week_end
    or {{ period_start('calendar_date', 'month') }} <> month_start
    or {{ period_end('month_start', 'month') }} <> month_end
