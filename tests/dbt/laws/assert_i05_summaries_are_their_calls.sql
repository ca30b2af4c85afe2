-- I5: the platform's summary of a job is the sum of the job's calls. It often is not: a
-- defect of the source, listed in audit_job_costs, that holds up nothing.
{{ config(severity='warn') }}
select
    job_id,
    expected,
    actual,
    difference

from {{ ref('audit_job_costs') }}
