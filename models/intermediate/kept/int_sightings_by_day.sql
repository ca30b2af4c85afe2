{#- Grain: one row per team, organization and local day with a job, call or ledger row of theirs. -#}
{%- set facts = [
    ('job', 'fct_jobs', 'job_date'), ('call', 'fct_llm_calls', 'call_date'),
    ('ledger_row', 'fct_credit_transactions', 'transaction_date'),
] -%}
{{ replaced_when_touched('sighting_date', 'day') }}
with

sightings as (

    {% for sighted, fact, date_column in facts -%}
    select
        team_id,
        organization_id,
        {{ date_column }} as sighting_date,
        '{{ sighted }}' as sighted,
        created_at

    from {{ ref(fact) }}
    where {{ is_touched(date_column, 'day') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        team_id,
        organization_id,
        sighting_date,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        {%- for sighted, _, _ in facts %}
        max(case when sighted = '{{ sighted }}' then created_at end) as newest_{{ sighted }}_at
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from sightings
    group by team_id, organization_id, sighting_date

)

select * from final
