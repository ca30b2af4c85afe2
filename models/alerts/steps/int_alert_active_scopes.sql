{#-
    Grain: one row per scope and measure (client cost, jobs, calls), with the first day on which it did anything; of a
    day before the months that the baseline's weeks reach into, the first of its month.
-#}
{%- set first_month = '(select first_month from moment)' -%}
with

moment as (

    select {{ period_start('(last_complete_date - 7 * ' ~ var('alert_spike_weeks') ~ ')', 'month') }} as first_month
    from {{ ref('int_alert_moment') }}

),

-- a row for each team and model: of a long history there are thirty times as many days as months
periods as (

    {{ active_periods('daily', since=first_month) }}

    union all

    {{ active_periods('monthly', before=first_month) }}

),

scopes as (

    select
        scope_kind,
        scope_id,
        max(organization_id) as organization_id,
        min(value_date) as first_active_date

    from periods
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
