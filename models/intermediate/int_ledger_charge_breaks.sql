{#-
    Grain: one row per deduction and rule of charging that it breaks.

    charge_forgotten: the platform's second "complete" cleared the job's credit_applied, so
    that a third would charge it again.
-#}
with

charged as (

    {% for relation, is_remembered in [
        ('int_ledger_rows_chained', 'false'), ('int_ledger_rows_remembered', 'true'),
    ] -%}
    select
        transaction_id,
        team_id,
        job_id,
        credits_signed,
        ledger_position,
        created_at,
        {{ is_remembered }} as is_remembered

    from {{ ref(relation) }}
    where movement = 'deduction'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

deductions as (

    select
        *,
        row_number() over (partition by team_id, job_id order by ledger_position) as deduction_number,
        row_number() over (partition by team_id, job_id order by ledger_position desc) as deductions_to_last

    from charged

),

jobs as (

    select
        job_id,
        outcome,
        is_credit_applied

    from {{ ref('fct_jobs') }}
    where created_at >= (select jobs_from from {{ ref('int_ledger_walk') }})

),

deductions_with_jobs as (

    select
        deductions.*,
        coalesce(jobs.outcome, 'missing') as job_outcome,
        jobs.is_credit_applied

    from deductions

    -- the job was deleted, or the row names none
    left join jobs
        on deductions.job_id = jobs.job_id

    where not deductions.is_remembered

),

final as (

    {% for break_type, expected, actual, condition in [
        ("'double_deduction'", '0', 'credits_signed', 'job_id is not null and deduction_number > 1'),
        ("'deduction_for_' || job_outcome || '_job'", '0', 'credits_signed', "job_outcome <> 'completed'"),
        ("'charge_forgotten'", 'credits_signed', '0', 'deductions_to_last = 1 and not is_credit_applied'),
    ] -%}
    select
        transaction_id,
        team_id,
        job_id,
        {{ break_type }} as break_type,
        cast({{ expected }} as bigint) as expected,
        cast({{ actual }} as bigint) as actual,
        created_at

    from deductions_with_jobs
    where {{ condition }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
