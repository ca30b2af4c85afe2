{#-
    Grain: one row per scope, measure (client cost, jobs, calls) and day of the baseline's weeks on which it did
    anything.
-#}
with

moment as (

    select
        cast(last_complete_date - 7 * {{ var('alert_spike_weeks') }} as date) as first_date

    from {{ ref('int_alert_moment') }}

),

days as (

    {{ active_periods('daily', since='(select first_date from moment)') }}

),

final as (

    {% for column, measure in activity_measures().items() -%}
    select
        scope_kind,
        scope_id,
        organization_id,
        '{{ measure }}' as measure,
        value_date,
        cast(sum({{ column }}) as numeric(28, 8)) as value,
        true as is_active

    from days
    {%- if column != 'client_cost_usd' %}
    where scope_kind <> 'model'
    {%- endif %}
    group by scope_kind, scope_id, organization_id, value_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
