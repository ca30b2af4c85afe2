{#-
    Payments, costs and margin by organization and team, for one period type, a row for
    each period with a payment or a call. For operators and finance only.
-#}
{%- macro revenue_by_period(period_type) -%}
{%- set keys = ['organization_id', 'team_id'] -%}
{{ replaced_when_touched('period_start_date', period_type) }}
with

periods as (

    {{ periods_of_type(period_type) }}

),

payments as (

    select
        {{ keys | join(',\n        ') }},
        {{ period_start('transaction_date', period_type) }} as period_start_date,
        count(*) as payment_count,
        cast(sum(payment_usd) as numeric(28, 8)) as payments_usd,
        count(case when payment_usd is null then 1 end) as unreadable_payment_count,
        cast(sum(credits_signed) as bigint) as credits_purchased

    from {{ ref('fct_credit_transactions') }}
    where
        movement = 'payment'
        and {{ is_touched('transaction_date', period_type) }}
    group by {{ keys | join(', ') }}, {{ period_start('transaction_date', period_type) }}

),

calls as (

    select
        {{ keys | join(',\n        ') }},
        {{ period_start('call_date', period_type) }} as period_start_date,
        count(*) as call_count,
        cast(sum(client_cost_usd) as numeric(28, 8)) as client_cost_usd,
        cast(sum(provider_cost_usd) as numeric(28, 8)) as provider_cost_usd,
        cast(sum(client_cost_usd - provider_cost_usd) as numeric(28, 8)) as margin_usd

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', period_type) }}
    group by {{ keys | join(', ') }}, {{ period_start('call_date', period_type) }}

),

entities as (

    select
        {{ (keys + ['period_start_date']) | join(',\n        ') }}

    from payments
    union
    select
        {{ (keys + ['period_start_date']) | join(',\n        ') }}

    from calls

),

final as (

    select
        entities.organization_id,
        entities.team_id,
        {{ period_columns() }},
        coalesce(payments.payment_count, 0) as payment_count,
        -- unreadable is not free: null when there were payments and none could be read
        case when payments.payment_count is null then 0 else payments.payments_usd end as payments_usd,
        coalesce(payments.unreadable_payment_count, 0) as unreadable_payment_count,
        coalesce(payments.credits_purchased, 0) as credits_purchased,
        {{ sum_over_calls('calls', 'client_cost_usd') }} as client_cost_usd,
        {{ sum_over_calls('calls', 'provider_cost_usd') }} as provider_cost_usd,
        {{ sum_over_calls('calls', 'margin_usd') }} as margin_usd

    from entities

    inner join periods
        on entities.period_start_date = periods.period_start_date

    left join payments
        on {{ same_keys('entities', 'payments', keys) }}

    left join calls
        on {{ same_keys('entities', 'calls', keys) }}

)

select * from final
{%- endmacro -%}
