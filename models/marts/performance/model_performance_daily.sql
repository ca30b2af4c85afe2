{#- Grain: one row per model group, model and local day with a call, over all teams. -#}
{{ model_calls_by_period('day', ['model_group', 'model']) }}
