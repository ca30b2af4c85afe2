-- I10: a deduction is for a completed job that exists, and a job has one; or the row is
-- listed. Returns deductions that break this and are not in audit_ledger.
with

deductions as (

    select
        transaction_id,
        team_id,
        job_id,
        created_at,
        row_number() over (partition by team_id, job_id order by ledger_position) as deduction_number

    from {{ ref('fct_credit_transactions') }}
    where
        movement = 'deduction'
        {%- if is_partial() %}
        and job_id in (
            select job_id from {{ ref('fct_credit_transactions') }}
            where {{ is_touched('created_at', 'ledger') }}
        )
        {%- endif %}

)

select
    deductions.transaction_id,
    deductions.team_id,
    deductions.job_id,
    jobs.outcome,
    deductions.deduction_number

from deductions

left join {{ ref('fct_jobs') }} as jobs
    on deductions.job_id = jobs.job_id

left join {{ ref('audit_ledger') }} as breaks
    on
        deductions.transaction_id = breaks.transaction_id
        and (breaks.break_type = 'double_deduction' or breaks.break_type like 'deduction_for_%')

where
    breaks.transaction_id is null
    and {{ is_touched('deductions.created_at', 'ledger') }}
    and (
        coalesce(jobs.outcome, 'missing') <> 'completed'
        or (deductions.job_id is not null and deductions.deduction_number > 1)
    )
