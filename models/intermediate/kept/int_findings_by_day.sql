{#- Grain: one row per rule, source table and local day on which a job, call or ledger row breaks it. -#}
{{ replaced_when_touched('finding_date', 'day') }}
with

findings as (

    select * from {{ ref('int_findings_of_calls') }}
    union all
    select * from {{ ref('int_findings_of_jobs') }}

),

dated as (

    select
        *,
        {{ local_date('created_at') }} as finding_date

    from findings

),

final as (

    select
        rule,
        table_name,
        finding_date,
        count(*) as affected_row_count,
        cast(sum(dollars) as numeric(28, 8)) as dollars,
        min(created_at) as created_at,
        min(row_key) as row_key

    from dated
    group by rule, table_name, finding_date

)

select * from final
where {{ is_touched('finding_date', 'day') }}
