{#- Grain: one row per team, job type and calendar month with activity. -#}
{{ usage_by_period('month', ['team_id', 'job_type']) }}
