{#-
    The usage parts added up for everyone who sees them, for one period type: by scope, dimension (model of the
    calls, team, job type) and part. A team has no teams; nobody sees what no tenant is known for but the platform.
-#}
{%- macro scope_parts_by_period(period_type) -%}
{%- set scopes = {'platform': none, 'organization': 'organization_id', 'team': 'team_id'} -%}
{%- set dimensions = {'model': 'model', 'team': 'team_id', 'job_type': 'job_type'} -%}
{{ replaced_when_touched('period_start_date', period_type) }}
with

touched_parts as (

    select * from {{ ref('int_usage_parts_by_' ~ period_type) }}
    where {{ is_touched('period_start_date', period_type) }}

),

final as (

    {% for scope_kind, scope_id in scopes.items() -%}
    {%- set outer_last = loop.last -%}
    {%- for dimension, part_name in dimensions.items() if scope_kind != 'team' or dimension != 'team' -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ scope_id or "'platform'" }} as scope_id,
        '{{ dimension }}' as dimension,
        {{ part_name }} as part_name,
        period_start_date,
        {%- for measure in part_measures() %}
        cast(sum({{ measure }}) as {{ 'numeric(28, 8)' if measure.endswith('_usd') else 'bigint' }}) as {{ measure }}
        {{- "," if not loop.last }}
        {%- endfor %}

    from touched_parts
    where
        {{ "part = 'calls'" if dimension == 'model' else 'true' }}
        {%- if scope_id %}
        and {{ scope_id }} <> 'unassigned'
        {%- endif %}
    group by {{ scope_id ~ ', ' if scope_id }}{{ part_name ~ ', ' if part_name != scope_id }}period_start_date
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {%- endfor %}

)

select * from final
{%- endmacro -%}

{#- The measures of the usage parts; each adds up. -#}
{%- macro part_measures() -%}
    {{ return([
        'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'call_count',
        'failed_call_count', 'priced_call_count', 'total_tokens', 'client_cost_usd', 'provider_cost_usd',
        'credits_used',
    ]) }}
{%- endmacro -%}
