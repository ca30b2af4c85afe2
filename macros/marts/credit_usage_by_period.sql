{#-
    A team's credits statement for one period type, a row for each period with a ledger row.

    closing = opening + allocated + purchased + adjusted - used + unexplained: closing is
    what the last row of the period says, unexplained is what no row explains.
-#}
{%- macro credit_usage_by_period(period_type) -%}
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
        credits_before,
        credits_after,
        ledger_position,
        row_number() over (
            partition by team_id, {{ period_start('transaction_date', period_type) }}
            order by ledger_position desc
        ) as rows_to_last

    from {{ ref('fct_credit_transactions') }}

),

added_up as (

    select
        team_id,
        period_start_date,
        max(case when ledger_position = 1 then credits_before end) as first_balance,
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
        ) as credits_used,
        max(case when rows_to_last = 1 then credits_after end) as closing_balance

    from ledger_rows
    group by team_id, period_start_date

),

opened as (

    select
        *,
        coalesce(
            lag(closing_balance) over (partition by team_id order by period_start_date), first_balance
        ) as opening_balance

    from added_up

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
