{#-
    Grain: one row per part (jobs, calls, credits), organization, team, job type, model of
    the calls and calendar month with any of it: what adds up, once, for the lists of every scope.
-#}
{{ usage_parts_by_period('month') }}
