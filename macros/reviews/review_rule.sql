{#-
    The constants of the reviews, each here and nowhere else; the verdict row hands them
    to the templates, so that a printed rule is the one that judged.

    baseline_weeks: complete weeks before the one reviewed that set its natural limits
    minimum_weeks: fewer of them with a value set no limits
    limit_factor: times the mean moving range: three sigma of an individuals chart
    summary_figures: metrics that the summary states
    named_signals: metrics that the verdict names before it says how many more
    low_credit_days: days; credits that last no longer are low
    listed_teams: rows of each list; what is below becomes one row
-#}
{%- macro review_rule(name) -%}
    {{ return({
        'baseline_weeks': 12,
        'minimum_weeks': 6,
        'limit_factor': '2.66',
        'summary_figures': 3,
        'named_signals': 4,
        'low_credit_days': 14,
        'listed_teams': 50,
        'listed_models': 20,
        'listed_job_types': 15,
        'listed_drivers': 5,
        'listed_credits': 10,
    }[name]) }}
{%- endmacro -%}
