{#- Grain: one row per team and calendar month with activity. -#}
{{ usage_by_period('month', ['team_id']) }}
