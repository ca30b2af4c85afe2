{#-
    The sum of a column over each review, as one measure of one list: for the test that lists
    add up. `list` is a column that tells lists apart, or the name of one in quotes, by which
    PostgreSQL does not group.
-#}
{%- macro review_sum(relation, list, measure, column, condition='true') -%}
    select
        review_kind,
        scope_kind,
        scope_id,
        period_start_date,
        {{ list }} as list,
        '{{ measure }}' as measure,
        cast(coalesce(sum({{ column }}), 0) as numeric(28, 8)) as list_sum

    from {{ relation }}
    where {{ condition }}
    group by review_kind, scope_kind, scope_id, period_start_date{% if not list.startswith("'") %}, {{ list }}{% endif %}
{%- endmacro -%}
