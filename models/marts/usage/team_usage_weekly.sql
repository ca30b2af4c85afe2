{#- Grain: one row per team and ISO week with activity. -#}
{{ usage_by_period('week', ['team_id']) }}
