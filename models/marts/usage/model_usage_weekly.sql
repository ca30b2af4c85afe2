{#- Grain: one row per team, model group, model and ISO week with a call. -#}
{{ model_calls_by_period('week', ['team_id', 'model_group', 'model']) }}
