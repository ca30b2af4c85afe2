{#-
    A select of LiteLLM's failures, each with the class of the first rule of seed litellm_failure_classes that fits:
    by words first and by code last, since codes moved between versions. `is_evidence`: it reads the same on every
    engine, with lower() where a model has lower_ascii.
-#}
{%- macro litellm_failures_classified(failures, classes, is_evidence=false) -%}
{%- set patterns = {
    'error_category': 'category', 'rate_limit_type': 'limit_type', 'error_class': 'error_class', 'provider': 'provider',
    'error_text': 'text', 'error_code': 'code',
} -%}
    select * from (
        select
            failures.*,
            classes.failure_class,
            row_number() over (partition by failures.request_id order by classes.priority) as place_of_class

        from {{ failures }} as failures
        inner join {{ classes }} as classes
            on
                {%- for column, pattern in patterns.items() %}
                {% set given = "coalesce(failures." ~ column ~ ", '')" -%}
                {%- if not loop.first %}and {% endif -%}
                {{ 'lower(' ~ given ~ ')' if is_evidence else lower_ascii(given) }} like classes.{{ pattern }}
                {%- endfor %}
    ) as ranked
    where place_of_class = 1
{%- endmacro -%}
