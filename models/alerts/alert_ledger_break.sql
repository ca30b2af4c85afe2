{#-
    Grain: one row per team that is not deleted, on the last complete day.

    Breaks of ledger rows of that day. A balance that differs from its ledger says since when only through
    its rows, so its cause is one of them: a lost update is a fork, a silent movement is a gap.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

counts as (

    select
        'team' as scope_kind,
        breaks.team_id as scope_id,
        count(*) as observed_value

    from {{ ref('audit_ledger') }} as breaks

    inner join moment
        on breaks.transaction_date = moment.last_complete_date

    group by breaks.team_id

),

scopes as (

    select * from {{ ref('int_alert_scopes') }}
    where scope_kind = 'team'

),

{{ counts_of_day(
    'ledger_break', 'counts', 'scopes',
    measure='ledger rows that break a rule',
    fires='>=',
    threshold=var('alert_ledger_breaks'),
    clear_threshold=var('alert_ledger_breaks'),
    evidence="select break_type, transaction_id, job_id, expected, actual, difference, dollars, created_at "
    ~ "from marts.audit_ledger where team_id = $scope_id "
    ~ "and created_at >= $window_start and created_at < $window_end "
    ~ "order by abs(difference) desc, created_at limit 5",
) }}
