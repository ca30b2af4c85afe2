{#- Grain: one row per distinct error text of a call or a job, with its error class. -#}
{{ config(tags=['each_build']) }}
with

error_texts as (

    select error as error_text
    from {{ ref('stg_saas__llm_calls') }}
    where
        error is not null
        and {{ is_touched('created_at', 'read') }}

    union

    select error_message as error_text
    from {{ ref('stg_saas__jobs') }}
    where
        error_message is not null
        and {{ is_touched('created_at', 'read') }}

),

rules as (

    select
        priority,
        coalesce(pattern, '') as pattern,
        error_class

    from {{ ref('error_classes') }}

),

matched as (

    select
        error_texts.error_text,
        min(rules.priority) as priority

    from error_texts

    left join rules
        on trim(both ' ' from {{ lower_ascii('error_texts.error_text') }}) like rules.pattern

    group by error_texts.error_text

),

final as (

    select
        matched.error_text,
        coalesce(rules.error_class, 'unclassified') as error_class

    from matched

    -- a text that no rule knows
    left join rules
        on matched.priority = rules.priority

)

select * from final
