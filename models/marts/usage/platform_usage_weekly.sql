{#- Grain: one row per ISO week. -#}
{{ usage_by_period('week', []) }}
