{#- Grain: one row per organization and local day with activity. -#}
{{ usage_by_period('day', ['organization_id']) }}
