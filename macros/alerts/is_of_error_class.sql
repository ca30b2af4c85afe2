{#-
    Whether a text of an error is of a class, by the patterns of seed error_classes. Of classes whose patterns
    overlap it may be of both: the first one of the ordered rules is what the marts have. `relation`: the seed; for
    evidence by its bare name.
-#}
{%- macro is_of_error_class(text, error_class, relation) -%}
    exists (
        select 1 from {{ relation }} as classes
        where classes.error_class = '{{ error_class }}' and {{ lower_ascii(text) }} like classes.pattern
    )
{%- endmacro -%}
