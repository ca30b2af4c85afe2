{#-
    Grain: one row per scope, dimension (model, team, job_type), part of it and month with any usage: what adds up of it.
-#}
{{ scope_parts_by_period('month') }}
