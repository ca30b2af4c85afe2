{#-
    A sum over calls as people read it: 0 where there were no calls, null (not known)
    where there were and none of them has a value. `calls` is a left-joined aggregate
    that has `call_count`.
-#}
{%- macro sum_over_calls(calls, measure) -%}
    case when {{ calls }}.call_count is null then 0 else {{ calls }}.{{ measure }} end
{%- endmacro -%}
