{#-
    Grain: one row per scope, dimension (model, team, job_type), part of it and ISO week with any usage: what adds up of it.
-#}
{{ scope_parts_by_period('week') }}
