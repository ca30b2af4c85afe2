{#-
    Grain: one row per model group and calendar month with a call. From single calls:
    percentiles of the group's models do not make the group's.
-#}
{{ group_latencies_by_period('month') }}
