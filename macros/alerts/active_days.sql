{#-
    A select of the days on which the platform, an organization, a team or a model did anything, from the daily
    marts: scope_kind, scope_id, organization_id, value_date, job_count, call_count, client_cost_usd. A model has
    a row for each team, and no jobs. A team has the organization that it belongs to now, or did last.
    `since`: an expression; no day before that date.
-#}
{%- macro active_days(since=none) -%}
    {%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
    {%- for kind, scope_id, organization_id, mart in [
        ('platform', "'platform'", no_text, 'platform_usage_daily'),
        ('organization', 'days.organization_id', 'days.organization_id', 'organization_usage_daily'),
        ('team', 'days.team_id', 'dim_teams.organization_id', 'team_usage_daily'),
        ('model', 'days.model', no_text, 'model_usage_daily'),
    ] %}
    {%- set conditions = [] %}
    select
        '{{ kind }}' as scope_kind,
        {{ scope_id }} as scope_id,
        {{ organization_id }} as organization_id,
        days.period_start_date as value_date,
        {{ 'cast(null as bigint)' if kind == 'model' else 'days.job_count' }} as job_count,
        days.call_count,
        days.client_cost_usd

    from {{ ref(mart) }} as days
    {%- if kind == 'team' %}
    inner join {{ ref('dim_teams') }} as dim_teams
        on days.team_id = dim_teams.team_id
    {%- endif %}
    {%- if kind == 'model' %}
    {%- do conditions.append('days.call_count > 0') %}
    {%- elif kind != 'platform' %}
    {%- do conditions.append('(days.call_count > 0 or days.job_count > 0)') %}
    {%- endif %}
    {%- if since %}
    {%- do conditions.append('days.period_start_date >= ' ~ since) %}
    {%- endif %}
    {%- if conditions %}
    where {{ conditions | join(' and ') }}
    {%- endif %}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{%- endmacro -%}

{#- What is measured of a day, by its column of active_days; of a model its client cost alone. -#}
{%- macro activity_measures() -%}
    {{ return({'job_count': 'jobs', 'call_count': 'calls', 'client_cost_usd': 'client cost'}) }}
{%- endmacro -%}
