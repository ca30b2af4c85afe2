{#- Grain: one row per team whose credits are impossible. -#}
select
    'credits_out_of_range' as rule,
    'team_credits' as table_name,
    team_id as row_key,
    cast(null as numeric(28, 8)) as dollars,
    1 as affected_row_count,
    cast(null as timestamp) as created_at

from {{ ref('stg_saas__team_credits') }}
where
    not {{ fits_source_integer('credits_allocated') }}
    or not {{ fits_source_integer('credits_used') }}
    or not {{ fits_source_integer('credits_remaining') }}
    or not {{ fits_source_integer('credit_limit') }}
