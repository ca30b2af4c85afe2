{#-
    Grain: one row per deduction that the night before left before the touched ledger rows and that is for a job which
    is charged again: its place in the ledger.
-#}
{{ config(materialized='ephemeral') }}
with

charged_again as (

    select distinct
        team_id,
        job_id

    from {{ ref('int_ledger_rows_to_walk') }}
    where
        movement = 'deduction'
        and job_id is not null

),

jobs as (

    select job_id
    from {{ ref('fct_jobs') }}
    where created_at >= (select jobs_from from {{ ref('int_ledger_walk') }})

),

-- of a job that is not there nobody knows when its other charges were
charged_without_job as (

    select * from charged_again
    where not exists (
        select 1
        from jobs
        where jobs.job_id = charged_again.job_id
    )

),

final as (

    {% for relation, is_in_reach in [
        ('charged_again', 'kept_rows.created_at >= (select charges_from from ' ~ ref('int_ledger_walk') ~ ')'),
        ('charged_without_job', 'true'),
    ] -%}
    select
        kept_rows.team_id,
        kept_rows.ledger_position,
        kept_rows.created_at

    from (
        {{ kept_ledger_rows(['team_id', 'job_id', 'movement', 'ledger_position', 'created_at']) }}
    ) as kept_rows

    inner join {{ relation }} as charged
        on
            kept_rows.job_id = charged.job_id
            and kept_rows.team_id = charged.team_id

    where
        kept_rows.movement = 'deduction'
        and {{ is_in_reach }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
