{#- Grain: one row per team, job type, error class and local day with a failure. -#}
{{ error_breakdown_by_period('day') }}
