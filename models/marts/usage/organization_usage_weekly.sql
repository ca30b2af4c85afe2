{#- Grain: one row per organization and ISO week with activity. -#}
{{ usage_by_period('week', ['organization_id']) }}
