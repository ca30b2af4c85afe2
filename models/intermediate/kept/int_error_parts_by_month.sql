{#-
    Grain: one row per organization, team, job type, error class and calendar month with a
    failure.
-#}
{{ error_breakdown_by_period('month', by=['organization_id']) }}
