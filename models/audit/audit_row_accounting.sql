{#- Grain: one row per source table of jobs, calls and ledger rows. -#}
with

landed_tables as (

    select * from {{ ref('stg_saas__landed_tables') }}

),

used as (

    select
        'jobs' as table_name,
        count(*) as used_row_count

    from {{ ref('fct_jobs') }}
    union all
    select
        'llm_calls' as table_name,
        count(*) as used_row_count

    from {{ ref('fct_llm_calls') }}
    union all
    select
        'credit_transactions' as table_name,
        count(*) as used_row_count

    from {{ ref('fct_credit_transactions') }}

),

waiting as (

    {% for table_name in ['jobs', 'llm_calls', 'credit_transactions'] -%}
    select
        '{{ table_name }}' as table_name,
        count(*) as quarantined_row_count

    from {{ ref('stg_saas__' ~ table_name) }}
    where not {{ exists_at_as_of('created_at') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        landed_tables.table_name,
        landed_tables.read_row_count,
        used.used_row_count,
        waiting.quarantined_row_count,
        landed_tables.exact_duplicate_row_count,
        landed_tables.conflicting_duplicate_row_count,
        {{ as_of() }} as built_at_as_of

    from landed_tables

    inner join used
        on landed_tables.table_name = used.table_name

    inner join waiting
        on landed_tables.table_name = waiting.table_name

)

select * from final
