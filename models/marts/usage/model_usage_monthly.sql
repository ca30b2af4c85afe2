{#- Grain: one row per team, model group, model and calendar month with a call. -#}
{{ model_calls_by_period('month', ['team_id', 'model_group', 'model']) }}
