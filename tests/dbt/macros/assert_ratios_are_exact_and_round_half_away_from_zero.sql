-- Every ratio is exact, rounded half away from zero, and null without a denominator.
-- Returns the cases whose ratio is another, at its 6, 8 or 3 places.
with

texts as (

    select *
    from (values
        -- numerator, denominator, 6 places, 8 places, 3 places
        ('1', '4', '0.25', '0.25', '0.25'),
        ('1', '3', '0.333333', '0.33333333', '0.333'),
        ('2', '3', '0.666667', '0.66666667', '0.667'),
        ('-2', '3', '-0.666667', '-0.66666667', '-0.667'),
        ('2', '-3', '-0.666667', '-0.66666667', '-0.667'),
        ('-2', '-3', '0.666667', '0.66666667', '0.667'),
        ('0', '7', '0', '0', '0'),
        ('0', '-7', '0', '0', '0'),
        -- exactly half: to 0.000003 and back, where half-even says 0.000002
        ('5', '2000000', '0.000003', '0.0000025', '0'),
        ('-5', '2000000', '-0.000003', '-0.0000025', '0'),
        ('1', '2000000', '0.000001', '0.0000005', '0'),
        -- a little less than half
        ('1', '2000001', '0', '0.0000005', '0'),
        ('1', '2000', '0.0005', '0.0005', '0.001'),
        ('-1', '2000', '-0.0005', '-0.0005', '-0.001'),
        ('0.00000001', '2', '0', '0.00000001', '0'),
        ('-0.00000001', '2', '0', '-0.00000001', '0'),
        ('0.00000001', '0.00000003', '0.333333', '0.33333333', '0.333'),
        -- nothing known, nothing to divide by
        ('1', '0', null, null, null),
        ('0', '0', null, null, null),
        (null, '1', null, null, null),
        ('1', null, null, null, null),
        -- as large as numeric(28, 8): doubles lose the last ten digits
        ('99999999999999999999.99999999', '99999999999999999999.99999999', '1', '1', '1'),
        ('12345678901234567890.12345678', '12345678901234567890', '1', '1', '1'),
        ('999999999999', '1', '999999999999', '999999999999', '999999999999'),
        -- larger than the type: not a number to show, and no reason to stop
        ('99999999999999999999', '0.00000001', null, null, null)
    ) as texts (numerator, denominator, rate, money, duration)

),

cases as (

    select
        cast(numerator as numeric(28, 8)) as numerator,
        cast(denominator as numeric(28, 8)) as denominator,
        cast(rate as numeric(28, 8)) as rate,
        cast(money as numeric(28, 8)) as money,
        cast(duration as numeric(28, 8)) as duration

    from texts

)

select *
from cases
where
    {{ ratio('numerator', 'denominator') }} is distinct from rate
    or {{ exact_ratio('numerator', 'denominator', 6) }} is distinct from rate
    or {{ money_ratio('numerator', 'denominator') }} is distinct from money
    or {{ duration_ratio('numerator', 'denominator') }} is distinct from duration
