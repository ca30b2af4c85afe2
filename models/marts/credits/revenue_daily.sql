{#- Grain: one row per organization, team and local day with a payment or a call. -#}
{{ revenue_by_period('day') }}
