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
