-- Each list of a review adds up to its scope's period (cost, jobs, calls, credits), its drivers and its bridge to the
-- cent to the change of the client cost, and the lines of a statement to its closing.
-- Returns one row, with both sums, per review, list and measure that does not.
-- Cast before the union: DuckDB unites decimal(38, 8) with decimal(38, 2) as decimal(38, 2).
with

sums as (

    {{ review_sum(ref('review_parts'), 'dimension', 'cost', 'client_cost_usd') }}
    union all
    {{ review_sum(ref('review_parts'), 'dimension', 'jobs', 'job_count') }}
    union all
    {{ review_sum(ref('review_parts'), 'dimension', 'credits', 'credits_used') }}
    union all
    {{ review_sum(ref('review_models'), "'models'", 'cost', 'client_cost_usd') }}
    union all
    {{ review_sum(ref('review_models'), "'models'", 'calls', 'call_count') }}
    union all
    {{ review_sum(ref('review_drivers'), 'dimension', 'change', 'change_usd') }}
    union all
    {{ review_sum(ref('review_bridge'), "'bridge'", 'change', 'amount_usd', "step not in ('previous', 'current')") }}
    union all
    {{ review_sum(ref('review_bridge'), "'bridge totals'", 'change',
        "case step when 'current' then amount_usd when 'previous' then -amount_usd end") }}
    union all
    {{ review_sum(ref('review_statements'), "'statement'", 'closing', "case line when 'closing' then -credits else credits end") }}
    union all
    {{ review_sum(ref('review_balances'), "'balances'", 'closing',
        'opening_balance + credits_added - credits_used + other_credits - closing_balance') }}

),

expected as (

    select
        periods.review_kind,
        periods.scope_kind,
        periods.scope_id,
        periods.period_start_date,
        periods.client_cost_usd,
        periods.job_count,
        periods.call_count,
        periods.credits_used,
        verdicts.client_cost_change_usd

    from {{ ref('int_scope_periods') }} as periods

    inner join {{ ref('review_verdicts') }} as verdicts
        on {{ same_review('periods', 'verdicts') }}

    where verdicts.is_complete

),

compared as (

    select
        sums.*,
        cast(case sums.measure
            when 'cost' then coalesce(expected.client_cost_usd, 0)
            when 'jobs' then expected.job_count
            when 'calls' then expected.call_count
            when 'credits' then expected.credits_used
            when 'closing' then 0
            else expected.client_cost_change_usd
        end as numeric(28, 8)) as expected_sum

    from sums

    inner join expected
        on {{ same_review('sums', 'expected') }}

)

select *
from compared
where list_sum <> expected_sum
