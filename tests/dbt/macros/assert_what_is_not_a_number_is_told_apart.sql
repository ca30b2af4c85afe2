-- Not a number is found in any numeric type, the largest decimal is one, and null is neither.
-- Returns the cases that are something else.
with

cases as (

    select
        cast('NaN' as float) as not_a_number,
        cast(9007199254740993 as bigint) as whole,
        cast('99999999999999999999.99999999' as numeric(28, 8)) as largest,
        cast('0.00000001' as numeric(28, 8)) as smallest,
        cast(null as numeric(28, 8)) as nothing

)

select *
from cases
where
    not ({{ is_nan('not_a_number') }})
    or {{ is_nan('whole') }}
    or {{ is_nan('largest') }}
    or {{ is_nan('smallest') }}
    or ({{ is_nan('nothing') }}) is not null
    or {{ number_or_null('not_a_number') }} is not null
    -- in its own type, digit by digit
    or {{ number_or_null('whole') }} <> 9007199254740993
    or {{ number_or_null('largest') }} <> cast('99999999999999999999.99999999' as numeric(28, 8))
    or {{ number_or_null('smallest') }} <> cast('0.00000001' as numeric(28, 8))
    or {{ number_or_null('nothing') }} is not null
