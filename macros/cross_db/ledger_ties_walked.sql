{#- A select of the rows of `ties` (see int_ledger_ties), each with its place in its group. -#}
{%- macro ledger_ties_walked(ties) -%}
    {{ return(adapter.dispatch('ledger_ties_walked', 'llm_almanac')(ties)) }}
{%- endmacro -%}

{%- macro default__ledger_ties_walked(ties) -%}
with recursive

tied_rows as (

    select * from {{ ties }}

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
{%- endmacro -%}

{#-
    Spark's recursion knows no window function: a team's groups are folded in order, and within each its rows,
    of which those that are left compete for the next place.
-#}
{%- macro spark__ledger_ties_walked(ties) -%}
with

tied_groups as (

    select
        team_id,
        group_number,
        max(balance_before_group) as balance_before_group,
        max(paid_since_anchor) as paid_since_anchor,
        collect_list(
            named_struct(
                'transaction_id', transaction_id,
                'states_no_balance', states_no_balance,
                'follows_no_other', follows_no_other,
                'credits_signed', credits_signed,
                'credits_before', credits_before,
                'credits_after', credits_after
            )
        ) as tied_rows

    from {{ ties }}
    group by team_id, group_number

),

teams as (

    select
        team_id,
        array_sort(
            collect_list(
                named_struct(
                    'group_number', group_number,
                    'balance_before_group', balance_before_group,
                    'paid_since_anchor', paid_since_anchor,
                    'tied_rows', tied_rows
                )
            )
        ) as tied_groups

    from tied_groups
    group by team_id

)

select
    team_id,
    inline(
        aggregate(
            tied_groups,
            named_struct(
                'balance', cast(null as bigint),
                'walked', cast(
                    array() as array<struct<
                        group_number: bigint, tied_row_count: bigint, step: bigint, transaction_id: string, balance: bigint
                    >>
                )
            ),
            (team, tied) -> aggregate(
                sequence(1, size(tied.tied_rows)),
                named_struct(
                    'balance', coalesce(tied.balance_before_group, team.balance + tied.paid_since_anchor),
                    'left', tied.tied_rows,
                    'walked', team.walked
                ),
                (walk, step) -> transform(
                    array({{ _next_of_tied('walk') }}),
                    chosen -> named_struct(
                        'balance', {{ _balance_after_tied('walk', 'chosen') }},
                        'left', filter(walk.left, other -> other.transaction_id <> chosen.transaction_id),
                        'walked', concat(
                            walk.walked,
                            array(
                                named_struct(
                                    'group_number', tied.group_number,
                                    'tied_row_count', cast(size(tied.tied_rows) as bigint),
                                    'step', cast(step as bigint),
                                    'transaction_id', chosen.transaction_id,
                                    'balance', {{ _balance_after_tied('walk', 'chosen') }}
                                )
                            )
                        )
                    )
                )[0],
                walk -> named_struct('balance', walk.balance, 'walked', walk.walked)
            ),
            team -> team.walked
        )
    )

from teams
{%- endmacro -%}

{%- macro _next_of_tied(walk) -%}
    array_min(
        transform(
            {{ walk }}.left,
            tied_row -> named_struct(
                'preference', case
                    when {{ walk }}.balance is null then case when tied_row.follows_no_other then 0 else 1 end
                    when
                        not tied_row.states_no_balance
                        and tied_row.credits_before = {{ walk }}.balance then 0
                    when tied_row.states_no_balance then 1
                    else 2
                end,
                'transaction_id', tied_row.transaction_id,
                'tied_row', tied_row
            )
        )
    ).tied_row
{%- endmacro -%}

{%- macro _balance_after_tied(walk, chosen) -%}
    case
        when not {{ chosen }}.states_no_balance then {{ chosen }}.credits_after
        else coalesce({{ walk }}.balance, {{ chosen }}.credits_before, 0) + coalesce({{ chosen }}.credits_signed, 0)
    end
{%- endmacro -%}
