{#-
    A select of the days (or months) in which the platform, an organization, a team or a model did anything, from the
    daily (monthly) marts: scope_kind, scope_id, organization_id, value_date, job_count, call_count, client_cost_usd.
    value_date is the first day of the period. A model has a row for each team, and no jobs. A team has the
    organization that it belongs to now, or did last. `since`, `before`: expressions of dates.
-#}
{%- macro active_periods(period, since=none, before=none) -%}
    {%- set no_text = "cast(null as " ~ dbt.type_string() ~ ")" -%}
    {%- for kind, scope_id, organization_id, mart in [
        ('platform', "'platform'", no_text, 'platform_usage_'),
        ('organization', 'periods.organization_id', 'periods.organization_id', 'organization_usage_'),
        ('team', 'periods.team_id', 'dim_teams.organization_id', 'team_usage_'),
        ('model', 'periods.model', no_text, 'model_usage_'),
    ] %}
    {%- set conditions = [] %}
    select
        '{{ kind }}' as scope_kind,
        {{ scope_id }} as scope_id,
        {{ organization_id }} as organization_id,
        periods.period_start_date as value_date,
        {{ 'cast(null as bigint)' if kind == 'model' else 'periods.job_count' }} as job_count,
        periods.call_count,
        periods.client_cost_usd

    from {{ ref(mart ~ period) }} as periods
    {%- if kind == 'team' %}
    inner join {{ ref('dim_teams') }} as dim_teams
        on periods.team_id = dim_teams.team_id
    {%- endif %}
    {%- if kind == 'model' %}
    {%- do conditions.append('periods.call_count > 0') %}
    {%- elif kind != 'platform' %}
    {%- do conditions.append('(periods.call_count > 0 or periods.job_count > 0)') %}
    {%- endif %}
    {%- if since %}
    {%- do conditions.append('periods.period_start_date >= ' ~ since) %}
    {%- endif %}
    {%- if before %}
    {%- do conditions.append('periods.period_start_date < ' ~ before) %}
    {%- endif %}
    {%- if conditions %}
    where {{ conditions | join(' and ') }}
    {%- endif %}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{%- endmacro -%}

{#- What is measured of a day, by its column of active_periods; of a model its client cost alone. -#}
{%- macro activity_measures() -%}
    {{ return({'job_count': 'jobs', 'call_count': 'calls', 'client_cost_usd': 'client cost'}) }}
{%- endmacro -%}
