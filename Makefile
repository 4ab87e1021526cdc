# The commands for development and CI. `make help` lists the targets.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
FAULTS_SECONDS ?= 120
FAULTS = --seconds $(FAULTS_SECONDS) $(if $(FAULTS_SEED),--seed $(FAULTS_SEED))

# `make test TESTS=tests/packs` runs some of the tests, and `make test ORDER=random` runs them in random order and prints
# the seed, for `make test ORDER=SEED`. TEST_PROCESSES is the number of processes that run tests on each database.
TEST_PROCESSES ?= 3
PARALLEL = -n $(TEST_PROCESSES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install run demo demo-packs test test-fast test-integration test-database test-acceptance test-browser test-slapd test-schema test-faults test-postgres pictures tracing docker-run lint format types lock docs audit bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A lock pins the requirements of its list, with the hashes of all files of each release; `make lock` writes it.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/runtime: requirements.lock
	@echo "Setting up: installing the server's packages into $(VENV) takes about 30 seconds, only this time."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements.lock
	touch $@

$(VENV)/development: requirements-dev.lock $(VENV)/runtime
	$(PIP) --requirement requirements-dev.lock
	touch $@

$(VENV)/tools: requirements-tools.lock
	$(PYTHON) -m venv --clear $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-tools.lock
	touch $@

install: $(VENV)/runtime ## Install the requirements of the server and the packs, without starting anything

run: $(VENV)/runtime ## Install, migrate, serve on port 8080 and run the periodic jobs (stop with Ctrl-C)
	exec $(MANAGE) run

tracing: $(VENV)/runtime ## Install the requirements for sending traces to OpenTelemetry
	$(PIP) --requirement requirements-tracing.lock

docker-run: .env ## Build the image and start PostgreSQL, Redis, a server and the Shell pack in containers (needs Docker Compose)
	docker compose up --build --detach --wait

.env: # The passwords that compose.yaml requires, generated once
	umask 077; for name in POSTGRES_PASSWORD FLYTE_SECRET_KEY; do \
		printf '%s=%s\n' $$name "$$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')"; done > $@

demo: $(VENV)/runtime ## Run a flow like the quickstart's with a real server and real packs, and show the result
	$(BIN)/python -m examples.demo.run

demo-packs: $(VENV)/runtime ## Run a flow that connects the packs Webhook, Shell, Slack and Email, and show each step
	$(BIN)/python -m examples.demo.packs

test: $(VENV)/development ## Run all tests on SQLite, and the tests that depend on the database on a private PostgreSQL
	exec $(BIN)/python -m tests.suite --processes $(TEST_PROCESSES) $(if $(ORDER),--order $(ORDER)) $(TESTS)

test-fast: $(VENV)/development ## Run the tests of pure code in parallel: no database, no process; less than a minute
	$(BIN)/python -m pytest -m unit $(PARALLEL)

test-integration: $(VENV)/development ## Run the tests of one package with the database
	$(BIN)/python -m pytest -m integration

test-database: $(VENV)/development ## Run the tests of database guarantees (locks, races, query counts) on SQLite and PostgreSQL
	$(BIN)/python -m pytest -m database
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest -m database

test-acceptance: $(VENV)/development ## Run the tests with real processes
	$(BIN)/python -m pytest -m acceptance

test-faults: $(VENV)/development ## Kill and freeze processes and stop databases for minutes, then check the result (FAULTS_SECONDS, FAULTS_SEED)
	$(BIN)/python -m tests.faults sqlite $(FAULTS)
	$(BIN)/python -m tests.faults postgresql $(FAULTS)

test-browser: $(VENV)/development ## Run the tests of the console in Chromium, and save screenshots of the pages in screenshots/
	$(BIN)/python -m pytest -m browser tests/browser

pictures: $(VENV)/development ## Take the screenshots of the README (needs Chromium)
	$(BIN)/python -m tests.browser.readme_pictures

test-slapd: $(VENV)/development ## Run the tests of the Ldap pack with OpenLDAP's server (needs slapd)
	$(BIN)/python -m pytest -m slapd tests/client_packs/test_ldap_slapd.py

test-schema: $(VENV)/development ## Send random requests to every API operation, on both databases, and check the responses
	$(BIN)/python -m pytest -m schema tests/schema
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest -m schema -k without_authentication tests/schema

test-postgres: $(VENV)/development ## Run all tests on a private PostgreSQL
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/development ## Check style, types, imports, plain English and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.language
	$(MANAGE) makemigrations --check --dry-run

format: $(VENV)/development ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/tools ## Update the locks from the lists of requirements (needs network access)
	for list in requirements requirements-tracing requirements-dev requirements-tools; do \
		$(VENV)/tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--custom-compile-command "make lock" $$list.txt --output-file $$list.lock || exit 1; \
	done

docs: $(VENV)/tools ## Build the documentation in docs/site/built, and check its links
	$(VENV)/tools/bin/sphinx-build --fail-on-warning --nitpicky --keep-going --quiet --conf-dir docs/site . docs/site/built

audit: $(VENV)/tools ## Check the locked packages for known vulnerabilities (needs network access)
	for list in requirements requirements-tracing requirements-dev requirements-tools; do \
		$(VENV)/tools/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$list.lock || exit 1; \
	done

bench: $(VENV)/development ## Run the benchmarks, or only those in BENCH="flows audit", and write bench.json
	$(BIN)/python -m bench $(BENCH)

clean: ## Remove installed and built files, but no data
	rm -rf $(VENV) docs/site/built screenshots .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
