{#-
    Whether `count` of `total` is above a share by more than `alert_z` standard errors: the lower bound of
    the Wilson interval lies above the share. Written without a root, so that it is exact on every engine:
    count − total × share > z × √(total × share × (1 − share)), squared.
-#}
{%- macro significantly_above(count, total, share) -%}
    (
        {{ count }} > {{ total }} * {{ share }}
        and ({{ count }} - {{ total }} * {{ share }}) * ({{ count }} - {{ total }} * {{ share }})
        > cast({{ var('alert_z') }} * {{ var('alert_z') }} as numeric(8, 4))
        * {{ total }} * {{ share }} * (1 - {{ share }})
    )
{%- endmacro -%}
