{#- Grain: one row per calendar month. -#}
{{ usage_by_period('month', []) }}
