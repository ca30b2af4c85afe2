{#- Grain: one row per team and local day with activity. -#}
{{ usage_by_period('day', ['team_id']) }}
