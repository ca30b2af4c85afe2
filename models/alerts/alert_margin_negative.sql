{#-
    Grain: one row per team that is not deleted and per model, on the last complete day.

    A day of which no call has both costs is not known, which is not the same as no loss.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

counts as (

    {%- for kind in ['team', 'model'] %}
    select
        '{{ kind }}' as scope_kind,
        {{ kind }}{% if kind == 'team' %}_id{% endif %} as scope_id,
        -1 * sum(margin_usd) as observed_value

    from {{ ref('model_usage_daily') }} as days
    inner join moment
        on days.period_start_date = moment.last_complete_date
    group by {{ kind }}{% if kind == 'team' %}_id{% endif %}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}

),

scopes as (

    select * from {{ ref('int_alert_scopes') }}

),

{{ counts_of_day(
    'margin_negative', 'counts', 'scopes',
    measure='provider cost above client cost',
    unknown='no call of the day has both costs',
    fires='>',
    threshold=var('alert_margin_loss_usd'),
    clear_threshold=var('alert_margin_loss_usd'),
    evidence="select team_id, model, count(*) as calls, sum(provider_cost_usd) as provider_cost_usd, "
    ~ "sum(client_cost_usd) as client_cost_usd from marts.fct_llm_calls "
    ~ "where client_cost_usd < provider_cost_usd and $scope_id in (team_id, model) "
    ~ "and created_at >= $window_start and created_at < $window_end "
    ~ "group by team_id, model order by sum(client_cost_usd - provider_cost_usd), team_id, model limit 5",
) }}
