{#- Grain: one row per team and month with a job or a call: its job types as JSON text. -#}
{{ job_type_breakdowns_by_period('month') }}
