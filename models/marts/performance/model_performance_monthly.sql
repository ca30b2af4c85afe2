{#- Grain: one row per model group, model and calendar month with a call, over all teams. -#}
{{ model_calls_by_period('month', ['model_group', 'model']) }}
