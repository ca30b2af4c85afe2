{#- Grain: one row per team and ISO week with a ledger row. -#}
{{ credit_usage_by_period('week') }}
