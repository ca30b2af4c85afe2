{#- Grain: one row per complete week: the sentence of its verdict. -#}

with

kpis as (

    select * from {{ ref('review_weekly_kpis') }}

),

counts as (

    select * from {{ ref('review_weekly_counts') }}

),

names as (

    select
        counts.period_start_date,
        {{ dbt.listagg(
            "case when kpis.signal_position < counts.named_count or counts.signal_count > counts.named_count"
            ~ " then kpis.phrase end",
            "', '",
            "order by kpis.signal_position"
        ) }} as first_names,
        max(case when kpis.signal_position = counts.named_count then kpis.phrase end) as last_name

    from counts

    inner join kpis
        on
            counts.period_start_date = kpis.period_start_date
            and kpis.signal_position <= counts.named_count

    group by counts.period_start_date

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

    -- a quiet week names nothing
    left join names
        on counts.period_start_date = names.period_start_date

),

final as (

    select
        period_start_date,
        case
            when not has_activity then 'Nothing ran this week: no job and no model call.'
            when signal_count + normal_count = 0
                then 'Too early to judge: fewer than {{ review_rule("minimum_weeks") }} complete weeks '
                    || 'came before this one.'
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
