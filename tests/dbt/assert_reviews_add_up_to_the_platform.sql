-- Each list of a weekly review adds up to the platform's week (cost, jobs, calls, credits), its drivers to the cent.
-- Returns one row, with both sums, per week, list and measure that does not.
-- Cast before the union: DuckDB unites decimal(38, 8) with decimal(38, 2) as decimal(38, 2).
with

sums as (

    select period_start_date, 'teams' as list, 'cost' as measure, cast(sum(client_cost_usd) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_teams') }}
    group by period_start_date

    union all

    select period_start_date, 'teams' as list, 'jobs' as measure, cast(sum(job_count) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_teams') }}
    group by period_start_date

    union all

    select period_start_date, 'teams' as list, 'credits' as measure, cast(sum(credits_used) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_teams') }}
    group by period_start_date

    union all

    select period_start_date, 'job types' as list, 'cost' as measure, cast(sum(client_cost_usd) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_job_types') }}
    group by period_start_date

    union all

    select period_start_date, 'job types' as list, 'jobs' as measure, cast(sum(job_count) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_job_types') }}
    group by period_start_date

    union all

    select period_start_date, 'models' as list, 'cost' as measure, cast(sum(client_cost_usd) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_models') }}
    group by period_start_date

    union all

    select period_start_date, 'models' as list, 'calls' as measure, cast(sum(call_count) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_models') }}
    group by period_start_date

    union all

    select period_start_date, dimension as list, 'change' as measure, cast(sum(change_usd) as numeric(28, 8)) as list_sum
    from {{ ref('review_weekly_drivers') }}
    group by period_start_date, dimension

),

expected as (

    select
        weeks.period_start_date,
        weeks.client_cost_usd,
        weeks.job_count,
        weeks.call_count,
        weeks.credits_used,
        verdicts.client_cost_change_usd

    from {{ ref('platform_usage_weekly') }} as weeks

    inner join {{ ref('review_weekly_verdict') }} as verdicts
        on weeks.period_start_date = verdicts.period_start_date

    where weeks.is_complete

),

compared as (

    select
        sums.*,
        case sums.measure
            when 'cost' then expected.client_cost_usd
            when 'jobs' then expected.job_count
            when 'calls' then expected.call_count
            when 'credits' then expected.credits_used
            else expected.client_cost_change_usd
        end as platform_sum

    from sums

    inner join expected
        on sums.period_start_date = expected.period_start_date

)

select *
from compared
-- no row of a silent week adds up to nothing, as the platform's zero
where coalesce(list_sum, 0) <> coalesce(platform_sum, 0)
