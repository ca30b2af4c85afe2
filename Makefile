# Everything runs in .venv, which the first target that needs it makes.

.DEFAULT_GOAL := help
.PHONY: help setup tools demo test benchmark checks load campaign engines spark cluster backfills reviews lint format lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## make .venv (nothing to do when it is up to date)
	@scripts/setup

tools:
	@scripts/setup --tests

demo: setup ## run the whole pipeline on the recorded platform, and draw its reviews
	@.venv/bin/almanac demo

test: tools lint ## lint, types, and every test: what continuous integration runs
	.venv/bin/pytest -n 2 --dist worksteal

campaign: setup ## kill 200 nights on both engines and look what is lost (hours; CAMPAIGN="--kills 20 --seed 7")
	.venv/bin/python -m tests.campaign $(CAMPAIGN)

benchmark: setup ## what a night costs beside its peers: make benchmark SIZES=1,5,20:postgresql (millions of calls; BENCHMARK="--record --spark")
	@$(if $(findstring --spark,$(BENCHMARK)),scripts/setup --spark)
	PYTHONPATH=.venv/spark .venv/bin/python -m benchmarks $(if $(SIZES),--sizes $(SIZES)) $(BENCHMARK)

checks: setup ## what a check of the alerts costs with 20 million calls: make checks FOLDER=/tmp/checks (7 GB, made once)
	.venv/bin/python -m benchmarks.alerts_check --folder $(or $(FOLDER),/tmp/almanac-checks)

load: setup ## ask the API 200 times a second, 500 live viewers beside: make load FOLDER=/tmp/load (300 MB, made once)
	.venv/bin/python -m benchmarks.api_load --folder $(or $(FOLDER),/tmp/almanac-load)

reviews: tools ## draw 300 team reviews, beside Chromium printing the same pages: make reviews REVIEWS=300
	.venv/bin/python -m benchmarks.reviews --reviews $(or $(REVIEWS),300)

engines: setup ## build 100 random platforms with DuckDB and with PostgreSQL, and compare everything
	ALMANAC_TEST_PLATFORMS=100 .venv/bin/pytest -q tests/pipeline/test_postgres_target.py -k platforms

spark: ## install Spark, and compare the demo and 50 random platforms built with DuckDB and with it
	@scripts/setup --spark
	PYTHONPATH=.venv/spark ALMANAC_TEST_PLATFORMS=50 .venv/bin/pytest -q tests/pipeline/test_spark_target.py

cluster: ## build CALLS=1000000 calls on a Spark cluster of two workers, beside DuckDB, and compare every row
	@scripts/setup --spark
	PYTHONPATH=.venv/spark .venv/bin/python -m benchmarks.spark_cluster --calls $(or $(CALLS),1000000)

backfills: setup ## recalculate a damaged history in 60 orders
	ALMANAC_BACKFILL_ORDERS=60 .venv/bin/pytest -q tests/pipeline/test_backfill_orders.py

lint: setup ## ruff, mypy and sqlfluff
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/sqlfluff lint models --processes 2 --disable-progress-bar

format: setup ## let ruff put the Python in shape
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# uv resolves for every Python and platform at once; it has a throwaway environment of its own, because installing
# it beside dbt is not needed. The lock names no index: whoever installs uses the one pip is set up with.
lock: ## resolve requirements.lock and requirements-spark.lock anew from pyproject.toml
	python3 -m venv target/uv
	target/uv/bin/pip install --quiet --disable-pip-version-check uv
	target/uv/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' --quiet -o requirements.lock
	target/uv/bin/uv pip compile --group spark --universal --python-version 3.11 --upgrade \
		--generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' --quiet -o requirements-spark.lock
	rm -rf target/uv

clean: ## remove what builds and tools left; data/ and .venv/ stay
	rm -rf target logs build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
