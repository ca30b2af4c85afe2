{#- Grain: one row per model group and local day with a call: what alerts compare a window with. -#}
{{ group_latencies_by_period('day') }}
