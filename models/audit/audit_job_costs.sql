{#-
    Grain: one row per job whose platform summary disagrees with the job's own calls. Its tests look at those of
    touched days.
-#}
{{ config(replaced={'day': local_date('created_at')}) }}
select
    job_id,
    team_id,
    organization_id,
    is_cost_wrong,
    is_call_count_wrong,
    is_token_count_wrong,
    expected,
    actual,
    actual - expected as difference,
    {{ age_in_days('created_at') }} as age_days,
    actual - expected as dollars,
    unpriced_call_count,
    expected_call_count,
    actual_call_count,
    expected_failed_call_count,
    actual_failed_call_count,
    expected_total_tokens,
    actual_total_tokens,
    created_at

from {{ ref('int_job_costs_disputed') }}
