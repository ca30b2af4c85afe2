-- I7: a ledger row begins where the one before it ended, or it is listed as a fork, a gap
-- or reordered. Returns rows that do not and are not in audit_ledger.
with

linked as (

    select
        transaction_id,
        team_id,
        credits_before,
        -- the row before may not be among those that are looked at
        case
            when lag(ledger_position) over in_order = ledger_position - 1 then lag(credits_after) over in_order
            else previous_balance
        end as balance_before

    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('created_at', 'ledger') }}
    window in_order as (partition by team_id order by ledger_position)

)

select
    linked.transaction_id,
    linked.team_id,
    linked.balance_before,
    linked.credits_before

from linked

left join {{ ref('audit_ledger') }} as breaks
    on
        linked.transaction_id = breaks.transaction_id
        and {{ is_touched('breaks.created_at', 'ledger') }}
        and breaks.break_type in ('fork', 'gap', 'reordered')

where
    breaks.transaction_id is null
    and linked.credits_before <> linked.balance_before
