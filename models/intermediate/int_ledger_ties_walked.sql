{#-
    Grain: one row per tied ledger row, with its place in its group.

    Follows the running balance: next is the row whose "before" is that balance, else a
    payment (which states none), else the smallest transaction_id. A team's very first
    group starts with a row that follows no other.
-#}
with recursive

tied_rows as (

    select * from {{ ref('int_ledger_ties') }}

),

-- taken: the tie indexes of the group's rows walked so far, each between bars
walk as (

    select
        team_id,
        cast(0 as bigint) as group_number,
        cast(0 as bigint) as tied_row_count,
        cast(0 as bigint) as step,
        {{ bytewise("cast('' as " ~ dbt.type_string() ~ ")") }} as transaction_id,
        cast('|' as {{ dbt.type_string() }}) as taken,
        cast(null as bigint) as balance

    from tied_rows
    where
        group_number = 1
        and tie_index = 1

    union all

    select
        team_id,
        group_number,
        tied_row_count,
        step,
        transaction_id,
        taken,
        balance

    from (

        select
            tied_rows.team_id,
            tied_rows.group_number,
            tied_rows.tied_row_count,
            case when tied_rows.group_number = walk.group_number then walk.step + 1 else 1 end as step,
            tied_rows.transaction_id,
            case
                when tied_rows.group_number = walk.group_number then walk.taken else '|'
            end || cast(tied_rows.tie_index as {{ dbt.type_string() }}) || '|' as taken,
            case
                when not tied_rows.states_no_balance then tied_rows.credits_after
                else coalesce({{ balance_entering('walk', 'tied_rows') }}, tied_rows.credits_before, 0)
                    + coalesce(tied_rows.credits_signed, 0)
            end as balance,
            row_number() over (
                partition by tied_rows.team_id
                order by
                    case
                        when {{ balance_entering('walk', 'tied_rows') }} is null
                            then case when tied_rows.follows_no_other then 0 else 1 end
                        when
                            not tied_rows.states_no_balance
                            and tied_rows.credits_before = {{ balance_entering('walk', 'tied_rows') }}
                            then 0
                        when tied_rows.states_no_balance then 1
                        else 2
                    end,
                    tied_rows.transaction_id
            ) as preference

        from walk

        inner join tied_rows
            on
                walk.team_id = tied_rows.team_id
                and tied_rows.group_number
                = case when walk.step < walk.tied_row_count then walk.group_number else walk.group_number + 1 end
                and (
                    tied_rows.group_number <> walk.group_number
                    or walk.taken not like '%|' || cast(tied_rows.tie_index as {{ dbt.type_string() }}) || '|%'
                )

    ) as candidates
    where preference = 1

)

select * from walk
where step > 0
