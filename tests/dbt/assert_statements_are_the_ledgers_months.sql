-- A team's statement is its month of credit_usage_monthly, or opens and closes at the balance before it; the statements
-- of the platform and of organizations are the sums of their teams' lines.
-- Returns one row per review whose opening, use or closing is another one, with both.
with

statements as (

    select
        review_kind,
        scope_kind,
        scope_id,
        period_start_date,
        sum(case when line = 'opening' then credits end) as opening_balance,
        -sum(case when line = 'used' then credits end) as credits_used,
        sum(case when line = 'closing' then credits end) as closing_balance

    from {{ ref('review_statements') }}
    group by review_kind, scope_kind, scope_id, period_start_date

),

months as (

    select
        *,
        lead(period_start_date) over (
            partition by team_id
            order by period_start_date
        ) as next_start_date

    from {{ ref('credit_usage_monthly') }}

),

expected as (

    select
        'team' as scope_kind,
        months.team_id as scope_id,
        statements.period_start_date,
        case when months.period_start_date = statements.period_start_date
            then months.opening_balance else months.closing_balance
        end as opening_balance,
        case when months.period_start_date = statements.period_start_date
            then months.credits_used else 0
        end as credits_used,
        months.closing_balance

    from statements

    inner join months
        on
            statements.scope_kind = 'team'
            and statements.scope_id = months.team_id
            and statements.period_start_date >= months.period_start_date
            and statements.period_start_date < coalesce(months.next_start_date, date '9999-12-31')

    union all

    select
        scope_kind,
        scope_id,
        period_start_date,
        sum(opening_balance) as opening_balance,
        sum(credits_used) as credits_used,
        sum(closing_balance) as closing_balance

    from {{ ref('review_balances') }}
    group by scope_kind, scope_id, period_start_date

    union all

    select
        'platform' as scope_kind,
        'platform' as scope_id,
        statements.period_start_date,
        sum(case when months.period_start_date = statements.period_start_date
            then months.opening_balance else months.closing_balance
        end) as opening_balance,
        sum(case when months.period_start_date = statements.period_start_date
            then months.credits_used else 0
        end) as credits_used,
        sum(months.closing_balance) as closing_balance

    from statements

    inner join months
        on
            statements.scope_kind = 'platform'
            and statements.period_start_date >= months.period_start_date
            and statements.period_start_date < coalesce(months.next_start_date, date '9999-12-31')

    group by statements.period_start_date

)

select
    statements.scope_kind,
    statements.scope_id,
    statements.period_start_date,
    statements.opening_balance,
    expected.opening_balance as expected_opening_balance,
    statements.credits_used,
    expected.credits_used as expected_credits_used,
    statements.closing_balance,
    expected.closing_balance as expected_closing_balance

from statements

left join expected
    on
        statements.scope_kind = expected.scope_kind
        and statements.scope_id = expected.scope_id
        and statements.period_start_date = expected.period_start_date

where
    expected.scope_id is null
    or statements.opening_balance <> expected.opening_balance
    or statements.credits_used <> expected.credits_used
    or statements.closing_balance <> expected.closing_balance
