{#- Grain: one row per organization and calendar month with activity. -#}
{{ usage_by_period('month', ['organization_id']) }}
