{#- Grain: one row per team and calendar month with a ledger row. -#}
{{ credit_usage_by_period('month') }}
