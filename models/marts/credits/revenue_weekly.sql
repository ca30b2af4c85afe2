{#- Grain: one row per organization, team and ISO week with a payment or a call. -#}
{{ revenue_by_period('week') }}
