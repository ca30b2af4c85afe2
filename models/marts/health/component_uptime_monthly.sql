{#- Grain: one row per component and calendar month since its first probe. -#}
{{ component_uptime_by_period('month') }}
