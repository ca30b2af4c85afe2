{#- Grain: one row per component and ISO week since its first probe. -#}
{{ component_uptime_by_period('week') }}
