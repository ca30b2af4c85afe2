{#- Grain: one row per local day. -#}
{{ usage_by_period('day', []) }}
