{#-
    Local day on which credits run out in so many days; null when never (more came back than
    was used), or when it is so far that a date says nothing.
-#}
{%- macro run_out_date(credits_remaining, days_left) -%}
    case
            when {{ credits_remaining }} > 0 and {{ days_left }} >= 0 and {{ days_left }} < 36500
                then cast(
                    {{ local_date(as_of()) }} + cast(floor({{ days_left }}) as integer) * interval '1 day' as date
                )
        end
{%- endmacro -%}
