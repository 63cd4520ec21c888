# Each target does its own set-up; nothing but git, make and python3 (3.11 or later, with venv) is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TYPED := shared lab $(wildcard */*_assets) CheckpointHarmony/checkpoint_harmony

.DEFAULT_GOAL := help
.PHONY: help venv demo test faults check docs lock sbom audit fuzz clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make .venv with the pinned, hashed dependencies

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: venv ## Run the modules against simulated consoles and a local platform
	@$(BIN)/sekoia-lab demo

test: venv ## Run the tests
	@$(BIN)/python -m pytest -q -n auto

faults: venv ## Run the whole fault matrix (the tests run a seeded part of it)
	@FAULTS=all $(BIN)/python -m pytest -q -n auto tests/faults tests/test_hostile_console.py

check: venv ## Lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(TYPED)

docs: venv ## Write docs/fields from the mapping tables
	@$(BIN)/python -m lab.fields

lock: venv ## Pin the dependencies again (needs uv on the PATH)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --constraints requirements.lock --output-file requirements-image.lock pyproject.toml
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group fuzz --output-file requirements-fuzz.lock

sbom: venv ## Write the list of an image's packages (CycloneDX) to .lab/sbom.json
	@mkdir -p .lab
	@$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file .lab/sbom.json requirements-image.lock

audit: venv ## Look up known vulnerabilities of an image's packages
	@$(BIN)/python -m lab.audit

FUZZ_SECONDS ?= 60

fuzz: venv ## Fuzz parsing, pages and mappers for FUZZ_SECONDS (Linux on x86-64)
	@mkdir -p .lab/fuzz-corpus
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --upgrade --target .lab/fuzz -r requirements-fuzz.lock
	@PYTHONPATH=.:.lab/fuzz $(BIN)/python tests/fuzz/fuzz_records.py -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1 -artifact_prefix=.lab/fuzz- .lab/fuzz-corpus

clean: ## Remove .venv, caches and what the lab wrote
	@rm -rf .venv .lab .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
