{#- Grain: one row per team that is not deleted and per model, on the last complete day. -#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

counts as (

    {%- for kind in ['team', 'model'] %}
    select
        '{{ kind }}' as scope_kind,
        {{ kind }}{% if kind == 'team' %}_id{% endif %} as scope_id,
        sum(unpriced_call_count) as observed_value

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
    'unpriced_spend', 'counts', 'scopes',
    measure='successful calls without a known cost',
    fires='>=',
    threshold=var('alert_unpriced_calls'),
    clear_threshold=var('alert_unpriced_calls'),
    evidence="select model_group, model, cost_source, count(*) as calls, sum(total_tokens) as tokens, "
    ~ "min(call_id) as example_call_id from marts.fct_llm_calls where is_unpriced "
    ~ "and $scope_id in (team_id, model) and created_at >= $window_start and created_at < $window_end "
    ~ "group by model_group, model, cost_source order by calls desc, model_group limit 5",
) }}
