{#- Grain: one row per team, job type and ISO week with activity. -#}
{{ usage_by_period('week', ['team_id', 'job_type']) }}
