{#- Grain: one row per team, organization and local day with a job, call or ledger row of theirs. -#}
{{ replaced_when_touched('sighting_date', 'day') }}
with

sightings as (

    {% for fact, date_column in [
        ('fct_jobs', 'job_date'), ('fct_llm_calls', 'call_date'), ('fct_credit_transactions', 'transaction_date'),
    ] -%}
    select
        team_id,
        organization_id,
        {{ date_column }} as sighting_date,
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
        max(created_at) as last_seen_at

    from sightings
    group by team_id, organization_id, sighting_date

)

select * from final
