{#-
    Grain: one row per team that is not deleted, on the last complete day.

    A completed job is charged when it completes; one that only a refund names is not charged either.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

charges as (

    select
        job_id,
        transaction_id

    from {{ ref('fct_credit_transactions') }}
    where
        movement = 'deduction'
        -- no job is charged before it is created
        and transaction_date >= (select last_complete_date from moment)

),

counts as (

    select
        'team' as scope_kind,
        jobs.team_id as scope_id,
        count(*) as observed_value

    from {{ ref('fct_jobs') }} as jobs

    inner join moment
        on jobs.job_date = moment.last_complete_date

    -- a job without a charge
    left join charges
        on jobs.job_id = charges.job_id

    where
        jobs.outcome = 'completed'
        and jobs.completed_at < moment.evaluated_at
        and charges.transaction_id is null
    group by jobs.team_id

),

scopes as (

    select * from {{ ref('int_alert_scopes') }}
    where scope_kind = 'team'

),

{{ counts_of_day(
    'unbilled_jobs', 'counts', 'scopes',
    measure='completed jobs that were not charged',
    fires='>=',
    threshold=var('alert_unbilled_jobs'),
    clear_threshold=var('alert_unbilled_jobs'),
    evidence="select jobs.job_id, jobs.job_type, jobs.created_at, jobs.completed_at, jobs.client_cost_usd "
    ~ "from marts.fct_jobs as jobs left join marts.fct_credit_transactions as charges "
    ~ "on jobs.job_id = charges.job_id and charges.movement = 'deduction' and charges.created_at >= $window_start "
    ~ "where jobs.team_id = $scope_id and jobs.outcome = 'completed' and charges.transaction_id is null "
    ~ "and jobs.created_at >= $window_start and jobs.created_at < $window_end "
    ~ "order by jobs.client_cost_usd desc nulls last, jobs.job_id limit 5",
) }}
