{#- Grain: one row per finding of the last landing, and per row whose clock keeps it out. -#}
{{ config(tags=['each_build']) }}
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
    case when created_at > {{ as_of() }} then 'future_row' else 'row_before_1970' end as rule,
    '{{ table_name }}' as table_name,
    {{ key }} as row_key,
    cast(null as numeric(28, 8)) as dollars,
    1 as affected_row_count,
    created_at

from {{ ref('stg_saas__' ~ table_name) }}
where
    not {{ exists_at_as_of('created_at') }}
    and (
        created_at > {{ as_of() }} + interval '{{ var("future_row_minutes") }} minutes'
        or created_at < {{ as_of() }}
    )
{% endfor %}
