-- 10^20 less a hundred-millionth, the largest numeric(28, 8), is divided to its last digit.
-- Returns the cases whose quotient is another.
with

cases as (

    select
        cast(numerator as numeric(28, 8)) as numerator,
        cast(denominator as numeric(28, 8)) as denominator,
        cast(expected as numeric(28, 8)) as expected

    from (values
        ('99999999999999999999.99999999', '1', '99999999999999999999.99999999'),
        ('99999999999999999999.99999999', '3', '33333333333333333333.33333333'),
        ('-99999999999999999999.99999998', '3', '-33333333333333333333.33333333'),
        ('10000000000000000001', '2', '5000000000000000000.5'),
        ('1', '99999999999999999999.99999999', '0')
    ) as texts (numerator, denominator, expected)

)

select *
from cases
where {{ money_ratio('numerator', 'denominator') }} is distinct from expected
