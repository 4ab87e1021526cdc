# Everything a newcomer or a pipeline runs. `make help` lists the targets.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
FAULTS_SECONDS ?= 120
FAULTS = --seconds $(FAULTS_SECONDS) $(if $(FAULTS_SEED),--seed $(FAULTS_SEED))

# `make test TESTS=tests/packs` runs a part; TEST_PROCESSES is the number of processes that run tests on SQLite.
TEST_PROCESSES ?= 3
PARALLEL = -n $(TEST_PROCESSES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install run demo demo-packs test test-unit test-integration test-database test-acceptance test-browser test-slapd test-schema test-faults test-postgres pictures tracing docker-run lint format types lock docs audit bench clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The locks say the same as the lists beside them, with the hashes of every file of each release; `make lock` makes them.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/runtime: requirements.lock
	@echo "Setting up: installing the server's packages into $(VENV) takes about 30 seconds, and is done only once."
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

install: $(VENV)/runtime ## Set up what a server and its packs need, and start nothing

run: $(VENV)/runtime ## Set up, migrate, serve on port 8080 and do the periodic jobs (Ctrl-C stops)
	exec $(MANAGE) run

tracing: $(VENV)/runtime ## Set up what a server needs to send traces to OpenTelemetry
	$(PIP) --requirement requirements-tracing.lock

docker-run: .env ## Build the image, and start PostgreSQL, Redis, a server and the Shell pack in containers (needs Docker with compose)
	docker compose up --build --detach --wait

.env: # The passwords that compose.yaml asks for, made once
	umask 077; for name in POSTGRES_PASSWORD FLYTE_SECRET_KEY; do \
		printf '%s=%s\n' $$name "$$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')"; done > $@

demo: $(VENV)/runtime ## Run the quickstart's flow with a real server and real packs, and show what happened
	$(BIN)/python -m examples.demo.run

demo-packs: $(VENV)/runtime ## Run a flow that joins the packs Webhook, Shell, Slack and Email, and show every hop
	$(BIN)/python -m examples.demo.packs

test: $(VENV)/development ## Run the whole suite on SQLite, and what a database can change on a private PostgreSQL
	exec $(BIN)/python -m tests.suite --processes $(TEST_PROCESSES) $(TESTS)

test-unit: $(VENV)/development ## Tests of pure code
	$(BIN)/python -m pytest -m unit

test-integration: $(VENV)/development ## Tests of one room with the database
	$(BIN)/python -m pytest -m integration

test-database: $(VENV)/development ## What the databases must guarantee, on both of them
	$(BIN)/python -m pytest -m database
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest -m database

test-acceptance: $(VENV)/development ## Tests with real processes
	$(BIN)/python -m pytest -m acceptance

test-faults: $(VENV)/development ## Kill processes and stop databases for minutes, and check what is left (FAULTS_SECONDS, FAULTS_SEED)
	$(BIN)/python -m tests.faults sqlite $(FAULTS)
	$(BIN)/python -m tests.faults postgresql $(FAULTS)

test-browser: $(VENV)/development ## Tests of the console in a real Chromium; a picture of each page goes to screenshots/
	$(BIN)/python -m pytest -m browser tests/browser

pictures: $(VENV)/development ## Take the README's screenshots of a real server (needs Chromium)
	$(BIN)/python -m tests.browser.readme_pictures

test-slapd: $(VENV)/development ## Tests of the Ldap pack at OpenLDAP's own server, which must be on the machine
	$(BIN)/python -m pytest -m slapd tests/client_packs/test_ldap_slapd.py

test-schema: $(VENV)/development ## Ask every operation of the API's description at random, on both databases
	$(BIN)/python -m pytest -m schema tests/schema
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest -m schema -k open_server tests/schema

test-postgres: $(VENV)/development ## The whole suite on a private PostgreSQL alone
	$(BIN)/python -m tests.private_postgres $(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/development ## Check style, types, imports, plain English and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.language
	$(MANAGE) makemigrations --check --dry-run

format: $(VENV)/development ## Put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/tools ## Write the locks anew from the lists of requirements (needs the network)
	for list in requirements requirements-tracing requirements-dev requirements-tools; do \
		$(VENV)/tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--custom-compile-command "make lock" $$list.txt --output-file $$list.lock || exit 1; \
	done

docs: $(VENV)/tools ## Make the pages into a site in docs/site/built, and check every link between them
	$(VENV)/tools/bin/sphinx-build --fail-on-warning --nitpicky --keep-going --quiet --conf-dir docs/site . docs/site/built

audit: $(VENV)/tools ## Ask whether what is locked has known vulnerabilities (needs the network)
	for list in requirements requirements-tracing requirements-dev requirements-tools; do \
		$(VENV)/tools/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$list.lock || exit 1; \
	done

bench: $(VENV)/development ## Measure, side by side in one run; BENCH="flows audit" chooses (then bench.json has it)
	$(BIN)/python -m bench $(BENCH)

clean: ## Remove what was set up and built, but no data
	rm -rf $(VENV) docs/site/built screenshots .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
