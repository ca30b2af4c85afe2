{#- Grain: one row per organization, team and calendar month with a payment or a call. -#}
{{ revenue_by_period('month') }}
