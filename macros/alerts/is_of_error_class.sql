{#-
    Whether a text of an error is of a class, by the patterns of seed error_classes. Of classes whose patterns
    overlap it may be of both: the first one of the ordered rules is what the marts have. `relation`: the seed. Evidence
    reads the same on every engine: it has lower() and the seed's bare name, where a model has lower_ascii and ref.
-#}
{%- macro is_of_error_class(lowered, error_class, relation) -%}
    exists (
        select 1 from {{ relation }} as classes
        where classes.error_class = '{{ error_class }}' and {{ lowered }} like classes.pattern
    )
{%- endmacro -%}
