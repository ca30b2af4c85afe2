{#-
    The constants of the reviews, each here and nowhere else; the verdict row hands them
    to the templates, so that a printed rule is the one that judged.

    baseline_periods: comparable periods that lock a metric's natural limits
    minimum_periods: fewer of them set no limits; from here on to the lock they are trial
    limit_factor: times the mean moving range: three sigma of an individuals chart
    run_periods: in a row on one side of the mean are a shift, and begin a new baseline
    drift_periods, drift_points: so many of so many in the outer quarter are a drift
    minimum_observations: a rate or percentile of fewer jobs or calls is not judged
    summary_figures: metrics that the summary states
    named_signals: metrics that the verdict names before it says how many more
    low_credit_days: days; credits that last no longer are low
    tenant_weeks, tenant_months: complete periods back of which tenants have reviews
    listed_*: rows of each list; what is below becomes one row
    failure_cost_usd: failed jobs of one type that cost no more ask for nobody
    costly_model_share: of the client cost; a model below it is not worth a change
    costly_model_factor: times the cost per token of the cheapest model of its group
-#}
{%- macro review_rule(name) -%}
    {{ return({
        'baseline_periods': 12,
        'minimum_periods': 6,
        'limit_factor': '2.66',
        'run_periods': 8,
        'drift_periods': 4,
        'drift_points': 3,
        'minimum_observations': 20,
        'summary_figures': 3,
        'named_signals': 4,
        'low_credit_days': 14,
        'tenant_weeks': 9,
        'tenant_months': 4,
        'listed_teams': 50,
        'listed_models': 20,
        'listed_job_types': 15,
        'listed_drivers': 5,
        'listed_credits': 10,
        'listed_failed_jobs': 15,
        'listed_slow_calls': 10,
        'listed_restatements': 10,
        'listed_decisions': 8,
        'listed_model_shares': 4,
        'trend_weeks': 6,
        'trend_months': 12,
        'forecast_weeks': 8,
        'failure_cost_usd': '1',
        'costly_model_share': '0.2',
        'costly_model_factor': 2,
    }[name]) }}
{%- endmacro -%}
