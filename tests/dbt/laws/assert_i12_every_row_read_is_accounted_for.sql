-- I12: used + held back + duplicate = read, for jobs, calls and ledger rows.
-- Returns tables for which it is not so.
select
    table_name,
    read_row_count,
    used_row_count,
    quarantined_row_count,
    exact_duplicate_row_count,
    conflicting_duplicate_row_count

from {{ ref('audit_row_accounting') }}
where
    read_row_count <> (
        used_row_count + quarantined_row_count + exact_duplicate_row_count + conflicting_duplicate_row_count
    )

union all

select
    'jobs, llm_calls and credit_transactions' as table_name,
    count(*) as read_row_count,
    null as used_row_count,
    null as quarantined_row_count,
    null as exact_duplicate_row_count,
    null as conflicting_duplicate_row_count

from {{ ref('audit_row_accounting') }}
having count(*) <> 3
