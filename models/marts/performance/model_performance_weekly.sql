{#- Grain: one row per model group, model and ISO week with a call, over all teams. -#}
{{ model_calls_by_period('week', ['model_group', 'model']) }}
