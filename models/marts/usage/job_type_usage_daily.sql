{#- Grain: one row per team, job type and local day with activity. -#}
{{ usage_by_period('day', ['team_id', 'job_type']) }}
