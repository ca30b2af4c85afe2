-- An age counts whole days of 24 hours: a microsecond short of two days is one; without a clock it is null.
-- Returns the instants whose age is another.
with

cases as (

    select
        {{ as_of() }} - interval '2 days' as created_at,
        2 as expected

    union all

    select {{ as_of() }} - interval '2 days' + interval '1 microsecond', 1

    union all

    select {{ as_of() }} - interval '1 microsecond', 0

    union all

    select {{ as_of() }}, 0

    union all

    -- later than as_of: a row that waits is not yet 0 days old
    select {{ as_of() }} + interval '1 microsecond', -1

    union all

    select cast(null as timestamp), null

)

select *
from cases
where {{ age_in_days('created_at') }} is distinct from expected
