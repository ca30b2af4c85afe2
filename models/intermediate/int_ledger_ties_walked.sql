{#-
    Grain: one row per tied ledger row, with its place in its group.

    Follows the running balance: next is the row whose "before" is that balance, else a
    payment (which states none), else the smallest transaction_id. A team's very first
    group starts with a row that follows no other.
-#}
{{ ledger_ties_walked(ref('int_ledger_ties')) }}
