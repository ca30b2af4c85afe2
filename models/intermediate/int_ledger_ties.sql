{#-
    Grain: one row per ledger row that shares its team and instant with another, with the
    balance on which its group begins (null: where the tied group before it ends).
-#}
with

ledger_rows as (

    select * from {{ ref('int_ledger_rows_to_walk') }}

),

stretches as (

    select * from {{ ref('int_ledger_instants') }}

),

tied_instants as (

    select
        stretches.team_id,
        stretches.created_at,
        stretches.tied_row_count,
        row_number() over (partition by stretches.team_id order by stretches.created_at) as group_number,
        cast(stretches.paid_since_anchor as bigint) as paid_since_anchor,
        case
            when stretches.anchors_before = 0
                then cast(stretches.first_payment_before + stretches.paid_since_anchor as bigint)
            else cast(anchors.stated_balance + stretches.paid_since_anchor as bigint)
        end as balance_before_group

    from stretches

    left join stretches as anchors
        on
            stretches.team_id = anchors.team_id
            and stretches.anchors_before = anchors.anchors_before + 1
            and anchors.is_anchor = 1

    where stretches.tied_row_count > 1

),

final as (

    select
        ledger_rows.transaction_id,
        ledger_rows.team_id,
        tied_instants.group_number,
        tied_instants.tied_row_count,
        tied_instants.balance_before_group,
        tied_instants.paid_since_anchor,
        row_number() over (
            partition by ledger_rows.team_id, ledger_rows.created_at order by ledger_rows.transaction_id
        ) as tie_index,
        ledger_rows.movement = 'payment' or ledger_rows.credits_after is null as states_no_balance,
        ledger_rows.credits_signed,
        ledger_rows.credits_before,
        ledger_rows.credits_after,
        not exists (
            select 1
            from ledger_rows as others
            where
                others.team_id = ledger_rows.team_id
                and others.created_at = ledger_rows.created_at
                and others.transaction_id <> ledger_rows.transaction_id
                and others.credits_after = ledger_rows.credits_before
        ) as follows_no_other

    from ledger_rows

    inner join tied_instants
        on
            ledger_rows.team_id = tied_instants.team_id
            and ledger_rows.created_at = tied_instants.created_at

)

select * from final
