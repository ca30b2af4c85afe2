{#- Grain: one row per scope and measure (client cost, jobs, calls), with the first day on which it did anything. -#}
with

days as (

    {{ active_days() }}

),

scopes as (

    select
        scope_kind,
        scope_id,
        max(organization_id) as organization_id,
        min(value_date) as first_active_date

    from days
    group by scope_kind, scope_id

),

final as (

    {% for column, measure in activity_measures().items() -%}
    select
        *,
        '{{ measure }}' as measure

    from scopes
    {%- if column != 'client_cost_usd' %}
    where scope_kind <> 'model'
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
