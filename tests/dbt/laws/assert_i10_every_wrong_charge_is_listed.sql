-- I10: a deduction is for a completed job that exists, and a job has one; or the row is
-- listed. Returns deductions that break this and are not in audit_ledger.
with

deductions as (

    select
        transaction_id,
        team_id,
        job_id,
        created_at,
        ledger_position

    from {{ ref('fct_credit_transactions') }}
    where
        movement = 'deduction'
        {%- if is_partial() %}
        and {{ is_touched('created_at', 'read_ledger_charges') }}
        and job_id in (
            select job_id from {{ ref('fct_credit_transactions') }}
            where {{ is_touched('created_at', 'ledger') }}
        )
        {%- endif %}

),

charged_again as (

    select
        team_id,
        job_id,
        min(ledger_position) as first_position

    from deductions
    where job_id is not null
    group by team_id, job_id
    having count(*) > 1

)

select
    deductions.transaction_id,
    deductions.team_id,
    deductions.job_id,
    jobs.outcome,
    charged_again.first_position as first_charged_at_position

from deductions

left join {{ ref('fct_jobs') }} as jobs
    on
        deductions.job_id = jobs.job_id
        and {{ is_touched('jobs.created_at', 'read_ledger_jobs') }}

left join charged_again
    on
        deductions.team_id = charged_again.team_id
        and deductions.job_id = charged_again.job_id

left join {{ ref('audit_ledger') }} as breaks
    on
        deductions.transaction_id = breaks.transaction_id
        and {{ is_touched('breaks.created_at', 'ledger') }}
        and (breaks.break_type = 'double_deduction' or breaks.break_type like 'deduction_for_%')

where
    breaks.transaction_id is null
    and {{ is_touched('deductions.created_at', 'ledger') }}
    and (
        coalesce(jobs.outcome, 'missing') <> 'completed'
        or deductions.ledger_position > charged_again.first_position
    )
