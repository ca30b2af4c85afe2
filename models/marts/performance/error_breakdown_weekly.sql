{#- Grain: one row per team, job type, error class and ISO week with a failure. -#}
{{ error_breakdown_by_period('week') }}
