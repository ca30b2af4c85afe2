{#-
    Grain: one row per team with credits, at the last complete day: how long they last at the burn of the
    last days.
-#}
with

balances as (

    select * from {{ ref('int_alert_balances') }}

),

moment as (

    select * from {{ ref('int_alert_moment') }}

),

statements as (

    select
        statements.team_id,
        min(statements.period_start_date) as first_ledger_date,
        sum(
            case
                when
                    statements.period_start_date
                    > moment.last_complete_date - {{ var('alert_exhaustion_min_days') }}
                    then statements.credits_used
                else 0
            end
        ) as credits_burned

    from {{ ref('credit_usage_daily') }} as statements
    cross join moment
    where statements.period_start_date <= moment.last_complete_date
    group by statements.team_id

),

final as (

    select
        balances.team_id,
        balances.organization_id,
        balances.credits_remaining,
        statements.credits_burned,
        moment.last_complete_until as data_as_of,
        {{ day_count('statements.first_ledger_date', 'moment.last_complete_date') }} + 1 as history_days,
        case
            when statements.credits_burned > 0
                then {{ exact_ratio(
                    'balances.credits_remaining * ' ~ var('alert_exhaustion_min_days'),
                    'statements.credits_burned',
                    8
                ) }}
        end as days_left

    from balances
    cross join moment

    -- a team without a ledger row
    left join statements
        on balances.team_id = statements.team_id

)

select * from final
