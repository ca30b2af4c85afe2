{#-
    A team's credits statement for one period type, a row for each period with a ledger row.

    closing = opening + allocated + purchased + adjusted - used + unexplained: closing is
    what the last row of the period says, unexplained is what no row explains.
-#}
{%- macro credit_usage_by_period(period_type) -%}
{{ replaced_when_touched('period_start_date', 'ledger_' ~ period_type) }}
with

periods as (

    {{ periods_of_type(period_type) }}

),

ledger_rows as (

    select
        team_id,
        {{ period_start('transaction_date', period_type) }} as period_start_date,
        movement,
        credits_signed,
        coalesce(previous_balance, credits_before) as balance_entering,
        credits_after,
        ledger_position

    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('transaction_date', 'ledger_' ~ period_type) }}

),

added_up as (

    select
        team_id,
        period_start_date,
        min(ledger_position) as first_position,
        max(ledger_position) as last_position,
        {%- for movement, measure in [
            ('allocation', 'credits_allocated'), ('payment', 'credits_purchased'),
            ('refund', 'credits_refunded'), ('adjustment', 'credits_adjusted'),
        ] %}
        cast(
            sum(case when movement = '{{ movement }}' then coalesce(credits_signed, 0) else 0 end) as bigint
        ) as {{ measure }},
        {%- endfor %}
        cast(
            sum(case when movement in ('deduction', 'refund') then -coalesce(credits_signed, 0) else 0 end) as bigint
        ) as credits_used

    from ledger_rows
    group by team_id, period_start_date

),

opened as (

    select
        added_up.*,
        first_rows.balance_entering as opening_balance,
        last_rows.credits_after as closing_balance

    from added_up

    inner join ledger_rows as first_rows
        on
            added_up.team_id = first_rows.team_id
            and added_up.first_position = first_rows.ledger_position

    inner join ledger_rows as last_rows
        on
            added_up.team_id = last_rows.team_id
            and added_up.last_position = last_rows.ledger_position

),

final as (

    select
        opened.team_id,
        {{ period_columns() }},
        opened.opening_balance,
        opened.credits_allocated,
        opened.credits_purchased,
        opened.credits_refunded,
        opened.credits_adjusted,
        opened.credits_used,
        opened.closing_balance - (
            opened.opening_balance
            + opened.credits_allocated
            + opened.credits_purchased
            + opened.credits_adjusted
            - opened.credits_used
        ) as unexplained_credits,
        opened.closing_balance

    from opened

    inner join periods
        on opened.period_start_date = periods.period_start_date

)

select * from final
{%- endmacro -%}
