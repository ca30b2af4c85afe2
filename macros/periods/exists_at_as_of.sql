{#-
    Whether a row with this creation time exists at as_of. Later rows wait for their day; a
    row from before 1970 is a broken clock, and is held back as well (both are findings).
-#}
{%- macro exists_at_as_of(created_at) -%}
    ({{ created_at }} < {{ as_of() }} and {{ created_at }} >= cast('1970-01-01' as timestamp))
{%- endmacro -%}
