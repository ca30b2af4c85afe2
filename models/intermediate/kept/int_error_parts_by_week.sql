{#-
    Grain: one row per organization, team, job type, error class and ISO week with a
    failure.
-#}
{{ error_breakdown_by_period('week', by=['organization_id']) }}
