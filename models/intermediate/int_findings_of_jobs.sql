{#- Grain: one row per job or ledger row and rule that it breaks. -#}
{{ config(tags=['each_build']) }}
with

jobs as (

    select
        jobs.*,
        job_credits.deduction_count

    from {{ ref('int_jobs_timed') }} as jobs

    left join {{ ref('int_credits_aggregated_to_jobs') }} as job_credits
        on jobs.job_id = job_credits.job_id

),

final as (

    {% for rule, condition in [
        ('negative_total_time', 'has_negative_total'),
        ('negative_queue_time', 'has_negative_queue'),
        ('negative_run_time', 'has_negative_run'),
        ('endless_time', 'has_endless_time'),
        ('unknown_status', "outcome = 'other'"),
        ('stuck_job', 'is_stuck'),
        ('unbilled_job', "outcome = 'completed' and coalesce(deduction_count, 0) = 0"),
        ('unassigned_organization', "organization_id = 'unassigned'"),
    ] -%}
    select
        '{{ rule }}' as rule,
        'jobs' as table_name,
        job_id as row_key,
        cast(null as numeric(28, 8)) as dollars,
        created_at

    from jobs
    where {{ condition }}
    union all
    {% endfor %}
    select
        'unreadable_payment' as rule,
        'credit_transactions' as table_name,
        transaction_id as row_key,
        cast(null as numeric(28, 8)) as dollars,
        created_at

    from {{ ref('fct_credit_transactions') }}
    where
        movement = 'payment'
        and payment_usd is null
        and {{ is_touched('transaction_date', 'day') }}
    union all
    select
        'credits_out_of_range' as rule,
        'credit_transactions' as table_name,
        transaction_id as row_key,
        cast(null as numeric(28, 8)) as dollars,
        created_at

    from {{ ref('int_ledger_rows_normalised') }}
    where
        (not {{ fits_source_integer('credits_amount') }} or credits_after is null)
        and {{ is_touched('created_at', 'read') }}

)

select * from final
