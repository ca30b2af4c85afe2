{#-
    Makes a list of reviews incremental: a partial build makes the lists of reviews anew whose period is touched or comes
    after one that is, and of those that were not there; of reviews that are gone the rows go. For lists that say nothing
    of the moment of the build: of a review that is not made anew they stand as they are.
-#}
{%- macro replaced_when_reviewed() -%}
    {{ return(adapter.dispatch('replaced_when_reviewed', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro spark__replaced_when_reviewed() -%}
    {{ _rebuilt_whole() }}
{%- endmacro -%}

{%- macro default__replaced_when_reviewed() -%}
    {{ config(
        materialized='incremental',
        incremental_strategy='replace_reviewed',
        on_schema_change='fail',
        replaced=review_periods_touched(),
    ) }}
{%- endmacro -%}

{#-
    Whether a review's lists are made in this build (`reviews`: a relation with the columns of int_reviews; without one
    the rows are those of complete reviews already).
-#}
{%- macro is_made_anew(reviews=none) -%}
    {%- if is_partial() -%}
        {{ reviews ~ '.' if reviews }}is_made_anew
    {%- elif reviews -%}
        {{ reviews }}.is_complete
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro -%}

{#- The incremental strategy of that name: delete the lists of reviews that are gone or made anew, insert these. -#}
{%- macro get_incremental_replace_reviewed_sql(arg_dict) -%}
    {{ deleted_when_reviewed(arg_dict['target_relation']) }};

    {{ inserted_anew(arg_dict) }}
{%- endmacro -%}

{%- macro deleted_when_reviewed(target_relation) -%}
    delete from {{ target_relation }}
    where not exists (
        select 1
        from {{ kept_relation('intermediate', 'int_reviews') }} as standing
        where
            {{ same_review(target_relation, 'standing') }}
            and standing.is_complete
            and not standing.is_made_anew
    )
{%- endmacro -%}

{#-
    Makes a model wait for every list that replaced_when_reviewed makes: the next build learns from it which reviews there
    were, also after one that died. Nothing is read of them.
-#}
{%- macro made_after_kept_lists() -%}
    {%- if not execute -%}
        {%- for list in [
            'bridge', 'drivers', 'errors', 'failed_jobs', 'kpis', 'latency', 'model_shares', 'models', 'part_rows', 'parts',
            'points', 'trends',
        ] %}
            {%- do ref('review_' ~ list) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
