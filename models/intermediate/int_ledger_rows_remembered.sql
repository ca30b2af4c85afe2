{#-
    Grain: one row per ledger row before its team's restart that the rows after it are
    compared with: the nearest ones, and deductions for jobs that are charged again.
-#}
{{ config(materialized='table') }}
{%- set columns = [
    'transaction_id', 'team_id', 'job_id', 'movement', 'credits_signed', 'credits_before', 'credits_after',
    'previous_balance', 'ledger_position', 'created_at'] -%}
{%- set first_near = 'restarts.first_position - ' ~ (var('fork_lookback_rows') + 1) -%}
with

kept_places as (

    {{ kept_ledger_rows(['team_id', 'ledger_position', 'created_at']) }}

),

near_places as (

    select kept_places.*

    from kept_places

    inner join {{ ref('int_ledger_restarts') }} as restarts
        on
            kept_places.team_id = restarts.team_id
            and kept_places.ledger_position >= {{ first_near }}
            and kept_places.ledger_position < restarts.first_position

),

charged_again as (

    select distinct
        team_id,
        job_id

    from {{ ref('int_ledger_rows_to_walk') }}
    where movement = 'deduction'

),

-- whole rows are read here and below only: an engine then looks at the other columns of the few that match
near_rows as (

    select kept_rows.*

    from (
        {{ kept_ledger_rows(columns) }}
    ) as kept_rows

    inner join near_places
        on
            kept_rows.team_id = near_places.team_id
            and kept_rows.ledger_position = near_places.ledger_position
            and kept_rows.created_at = near_places.created_at

),

charges as (

    select kept_rows.*

    from (
        {{ kept_ledger_rows(columns) }}
    ) as kept_rows

    inner join charged_again
        on
            kept_rows.job_id = charged_again.job_id
            and kept_rows.team_id = charged_again.team_id

    where kept_rows.movement = 'deduction'

),

found as (

    select * from near_rows
    union
    select * from charges

),

final as (

    select
        found.*,
        found.ledger_position >= {{ first_near }} as is_near

    from found

    inner join {{ ref('int_ledger_restarts') }} as restarts
        on
            found.team_id = restarts.team_id
            and found.ledger_position < restarts.first_position

)

select * from final
