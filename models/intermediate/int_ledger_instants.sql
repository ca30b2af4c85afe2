{#-
    Grain: one row per team and instant with ledger rows, and how it hangs together with
    the instants before it.

    An anchor states a balance: a row that is no payment, or a tied group, once walked. A
    stretch is an anchor and the single payments since the anchor before it.
-#}
with

ledger_rows as (

    select
        *,
        count(*) over (partition by team_id, created_at) as tied_row_count

    from {{ ref('int_ledger_rows_to_walk') }}

),

instants as (

    select
        team_id,
        created_at,
        max(tied_row_count) as tied_row_count,
        max(case when tied_row_count = 1 and {{ states_balance() }} then credits_after end) as stated_balance,
        max(
            case when tied_row_count = 1 and not {{ states_balance() }} then coalesce(credits_signed, 0) end
        ) as paid_credits,
        max(
            case when tied_row_count = 1 and not {{ states_balance() }} then coalesce(credits_before, 0) end
        ) as payment_before,
        max(case when tied_row_count > 1 or {{ states_balance() }} then 1 else 0 end) as is_anchor

    from ledger_rows
    group by team_id, created_at

),

anchored as (

    select
        *,
        sum(is_anchor) over (
            partition by team_id order by created_at
        ) - is_anchor as anchors_before

    from instants

),

final as (

    select
        *,
        coalesce(sum(paid_credits) over (partition by team_id, anchors_before), 0) as paid_since_anchor,
        first_value(payment_before) over (
            partition by team_id, anchors_before order by created_at
        ) as first_payment_before

    from anchored

)

select * from final
