-- I6: before + credits = after, on every ledger row of a known type, or the row is listed.
-- Returns rows that break the rule and are not in audit_ledger.
select
    ledger_rows.transaction_id,
    ledger_rows.team_id,
    ledger_rows.credits_before,
    ledger_rows.credits_signed,
    ledger_rows.credits_after

from {{ ref('fct_credit_transactions') }} as ledger_rows

left join {{ ref('audit_ledger') }} as breaks
    on
        ledger_rows.transaction_id = breaks.transaction_id
        and {{ is_touched('breaks.created_at', 'ledger') }}
        and breaks.break_type = 'arithmetic'

where
    breaks.transaction_id is null
    and {{ is_touched('ledger_rows.created_at', 'ledger') }}
    and ledger_rows.credits_before + ledger_rows.credits_signed <> ledger_rows.credits_after
