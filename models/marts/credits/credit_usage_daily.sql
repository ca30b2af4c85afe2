{#- Grain: one row per team and local day with a ledger row. -#}
{{ credit_usage_by_period('day') }}
