{#- Grain: one row per team, model group, model and local day with a call. -#}
{{ model_calls_by_period('day', ['team_id', 'model_group', 'model']) }}
