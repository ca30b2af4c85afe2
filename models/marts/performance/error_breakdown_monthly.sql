{#- Grain: one row per team, job type, error class and calendar month with a failure. -#}
{{ error_breakdown_by_period('month') }}
