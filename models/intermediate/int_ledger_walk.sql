{#-
    Grain: one row: no ledger row before `walked_from` is walked, no job before `jobs_from` is named by one that is, and
    no other ledger row before `charges_from` names such a job. Since ever in a full build, and where nothing is kept.

    Bounds on clocks, by which an engine need not look at all rows there ever were.
-#}
{{ config(materialized='table') }}
{%- set ever = "cast('0001-01-01' as timestamp)" -%}
with

restarts as (

    select * from {{ ref('int_ledger_restarts') }}

),

kept_days as (

    {{ kept_ledger_days() }}

),

beginnings as (

    select {{ touched_from('ledger') or ever }} as begins_at
    union all
    select restarts_at as begins_at
    from restarts
    union all
    -- walked whole
    select min(first_seen_at) as begins_at
    from kept_days
    where team_id not in (select team_id from restarts)

),

walk as (

    select min(begins_at) as walked_from
    from beginnings

),

-- days of jobs and of the calls and ledger rows that name them
related_days as (

    {{ related_days() }}

),

jobs_walked as (

    select
        walk.walked_from,
        least(walk.walked_from, cast(min(related_days.day) as timestamp)) as jobs_from

    from walk

    left join related_days
        on related_days.related_day >= cast(walk.walked_from as date)

    group by walk.walked_from

),

final as (

    select
        jobs_walked.walked_from,
        jobs_walked.jobs_from,
        least(jobs_walked.jobs_from, cast(min(related_days.related_day) as timestamp)) as charges_from

    from jobs_walked

    left join related_days
        on related_days.day >= cast(jobs_walked.jobs_from as date)

    group by jobs_walked.walked_from, jobs_walked.jobs_from

)

select * from final
