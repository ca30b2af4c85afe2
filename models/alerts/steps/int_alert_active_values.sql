{#-
    Grain: one row per scope, measure (client cost, jobs, calls) and day on which it did anything. A team has the
    organization that it belongs to now, or did last.
-#}
{%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
{%- set scopes = [
    ('platform', "'platform'", no_text, 'platform_usage_daily', ['job_count', 'call_count', 'client_cost_usd']),
    (
        'organization', 'organization_id', 'organization_id', 'organization_usage_daily',
        ['job_count', 'call_count', 'client_cost_usd']
    ),
    ('team', 'team_id', 'organization_id', 'teams', ['job_count', 'call_count', 'client_cost_usd']),
    ('model', 'model', no_text, 'model_usage_daily', ['client_cost_usd']),
] -%}
{%- set measures = {'job_count': 'jobs', 'call_count': 'calls', 'client_cost_usd': 'client cost'} -%}
with

teams as (

    select
        days.*,
        dim_teams.organization_id

    from {{ ref('team_usage_daily') }} as days
    inner join {{ ref('dim_teams') }} as dim_teams
        on days.team_id = dim_teams.team_id

),

final as (
    {%- for kind, scope_id, organization_id, mart, columns in scopes %}
    {%- set outer = loop %}
    {%- for column in columns %}
    select
        '{{ kind }}' as scope_kind,
        {{ scope_id }} as scope_id,
        {{ organization_id }} as organization_id,
        '{{ measures[column] }}' as measure,
        period_start_date as value_date,
        cast(sum({{ column }}) as numeric(28, 8)) as value,
        true as is_active

    from {{ mart if kind == 'team' else ref(mart) }}
    {%- if kind != 'platform' %}
    where call_count > 0{% if kind != 'model' %} or job_count > 0{% endif %}
    {%- endif %}
    group by scope_id, organization_id, period_start_date
    {%- if not (outer.last and loop.last) %}

    union all
    {% endif %}
    {%- endfor %}
    {%- endfor %}

)

select * from final
