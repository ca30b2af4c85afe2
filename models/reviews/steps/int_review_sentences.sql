{#- Grain: one row per review of a complete period: the sentence of its verdict. -#}
with

counts as (

    select
        counts.*,
        reviews.has_activity,
        case counts.review_kind when 'weekly' then 'week' else 'month' end as period_name

    from {{ ref('int_review_counts') }} as counts

    inner join {{ ref('int_reviews') }} as reviews
        on {{ same_review('counts', 'reviews') }}

),

names as (

    select
        {{ review_keys('counts') }},
        counts.period_start_date,
        {{ dbt.listagg(
            "case when kpis.signal_position < counts.named_count or counts.signal_count > counts.named_count"
            ~ " then kpis.phrase end",
            "', '",
            "order by kpis.signal_position"
        ) }} as first_names,
        max(case when kpis.signal_position = counts.named_count then kpis.phrase end) as last_name

    from counts

    inner join {{ ref('review_kpis') }} as kpis
        on
            {{ same_review('counts', 'kpis') }}
            and kpis.signal_position <= counts.named_count

    group by {{ review_keys('counts') }}, counts.period_start_date

),

phrases as (

    select
        counts.*,
        case
            when counts.signal_count > counts.named_count
                then names.first_names || ' and '
                    || cast(counts.signal_count - counts.named_count as {{ dbt.type_string() }}) || ' more'
            when counts.signal_count > 1 then names.first_names || ' and ' || names.last_name
            else names.last_name
        end as signal_names,
        case
            when counts.normal_count = 0 then ''
            when counts.normal_count = 1 then '; 1 metric is normal'
            else
                case when counts.undecided_count = 0 then '; the other ' else '; ' end
                || cast(counts.normal_count as {{ dbt.type_string() }}) || ' metrics are normal'
        end as remainder

    from counts

    -- a quiet period names nothing
    left join names
        on {{ same_review('counts', 'names') }}

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        case
            when not has_activity then 'Nothing ran this ' || period_name || ': no job and no model call.'
            when signal_count + normal_count = 0
                then 'Too early to judge: fewer than {{ review_rule("minimum_periods") }} whole '
                    || period_name || 's came before this one.'
            when signal_count = 0 and normal_count = 1
                then 'The one metric that can be judged is inside its normal range.'
            when signal_count = 0
                then 'All ' || cast(normal_count as {{ dbt.type_string() }}) || ' metrics '
                    || case when undecided_count > 0 then 'that can be judged ' else '' end
                    || 'are inside their normal range.'
            else
                upper(substring(signal_names, 1, 1)) || substring(signal_names, 2)
                || ' left '
                || case when signal_count = 1 and not is_first_signal_plural then 'its' else 'their' end
                || ' normal range' || remainder || '.'
        end as verdict_sentence

    from phrases

)

select * from final
