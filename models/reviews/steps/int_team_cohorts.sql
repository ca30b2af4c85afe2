{#- Grain: one row per monthly review of the platform, and team that was ever active up to it: its cohort. -#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and scope_kind = 'platform'
        and is_complete

),

active_months as (

    select
        team_id,
        period_start_date,
        client_cost_usd

    from {{ ref('team_usage_monthly') }}
    where
        team_id <> 'unassigned'
        and job_count > 0

),

team_months as (

    select
        reviews.period_start_date,
        active_months.team_id,
        min(active_months.period_start_date) as first_month,
        max(case when active_months.period_start_date = reviews.period_start_date then 1 else 0 end) = 1 as is_active,
        max(
            case when active_months.period_start_date = reviews.previous_period_start_date then 1 else 0 end
        ) = 1 as was_active,
        sum(
            case when active_months.period_start_date = reviews.period_start_date then active_months.client_cost_usd end
        ) as client_cost_usd

    from reviews

    inner join active_months
        on reviews.period_start_date >= active_months.period_start_date

    group by reviews.period_start_date, active_months.team_id

),

placed as (

    select
        *,
        case
            when first_month = period_start_date then 'new'
            when is_active and was_active then 'continuing'
            when is_active then 'returned'
            when was_active then 'dormant'
            else 'lost'
        end as cohort

    from team_months

)

select * from placed
