{#- Grain: one row per kind of review, scope, dimension (model, team, job_type), part and period with any usage. -#}
with

final as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        scope_kind,
        scope_id,
        dimension,
        part_name,
        period_start_date,
        {{ part_measures() | join(',\n        ') }}

    from {{ ref('int_scope_parts_by_' ~ period_type) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
