{#- Grain: one row per finding of the last landing, and per row from the future. -#}
select
    rule,
    table_name,
    row_key,
    cast(null as numeric(28, 8)) as dollars,
    affected_row_count,
    created_at

from {{ ref('stg_saas__landing_findings') }}
{% for table_name, key in [
    ('jobs', 'job_id'), ('llm_calls', 'call_id'), ('credit_transactions', 'transaction_id'),
] %}
union all

select
    'future_row' as rule,
    '{{ table_name }}' as table_name,
    {{ key }} as row_key,
    cast(null as numeric(28, 8)) as dollars,
    1 as affected_row_count,
    created_at

from {{ ref('stg_saas__' ~ table_name) }}
where created_at > {{ as_of() }} + interval '{{ var("future_row_minutes") }} minutes'
{% endfor %}
