{#- Grain: one row per component and local day since its first probe. -#}
{{ component_uptime_by_period('day') }}
