{#- Grain: one row per review of a complete period: how fresh each source of the scope is, and what is left out. -#}
{%- set sources = ['job', 'call', 'ledger_row'] -%}
{%- set scopes = [('platform', none), ('organization', 'organization_id'), ('team', 'team_id')] -%}
with

sightings as (

    select * from {{ ref('int_sightings_by_day') }}

),

by_scope as (

    {% for scope_kind, key in scopes -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ key or "'platform'" }} as scope_id,
        {%- for source in sources %}
        max(newest_{{ source }}_at) as newest_{{ source }}_at
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from sightings
    {%- if key %}
    group by {{ key }}
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        {%- for source in sources %}
        by_scope.newest_{{ source }}_at,
        {%- endfor %}
        cast(reviews.unpriced_call_count as bigint) as unpriced_call_count,
        cast(reviews.open_job_count as bigint) as open_job_count,
        {{ as_of() }} as built_at_as_of

    from {{ ref('int_reviews') }} as reviews

    left join by_scope
        on
            reviews.scope_kind = by_scope.scope_kind
            and reviews.scope_id = by_scope.scope_id

    where reviews.is_complete

)

select * from final
