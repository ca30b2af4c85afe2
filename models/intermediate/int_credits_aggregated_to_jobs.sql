{#- Grain: one row per job with a ledger row, with the credits it was charged. -#}
{{ config(tags=['each_build']) }}
select
    job_id,
    cast(
        sum(case when movement in ('deduction', 'refund') then -credits_signed else 0 end) as bigint
    ) as credits_charged,
    count(case when movement = 'deduction' then 1 end) as deduction_count

from {{ ref('int_ledger_rows_normalised') }}
where
    job_id is not null
    and {{ is_touched('created_at', 'read') }}
group by job_id
