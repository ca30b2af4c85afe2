{#-
    A select that repeats each row of a relation for every scope that it belongs to: the platform, its
    organization, its team, its job type. Columns scope_kind, scope_id, organization_id, then `columns`.
-#}
{%- macro by_alert_scope(relation, columns) -%}
    {%- set scopes = [
        ('platform', "'platform'", "cast(null as " ~ dbt.type_string() ~ ")"),
        ('organization', 'organization_id', 'organization_id'),
        ('team', 'team_id', 'organization_id'),
        ('job_type', 'job_type', "cast(null as " ~ dbt.type_string() ~ ")"),
    ] -%}
    {%- for kind, scope_id, organization_id in scopes %}
    select
        '{{ kind }}' as scope_kind,
        {{ scope_id }} as scope_id,
        {{ organization_id }} as organization_id,
        {{ columns | join(', ') }}

    from {{ relation }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro -%}
