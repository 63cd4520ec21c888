# Each target does its own set-up; nothing but git, make and python3 (3.11, with venv) is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TYPED := shared lab benchmarks $(wildcard */*_assets) CheckpointHarmony/checkpoint_harmony

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all timing faults exports bench benchmarks check docs lock images sbom audit fuzz clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make .venv with the pinned, hashed dependencies

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 is needed (later versions are not tested), this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: venv ## Run the modules against simulated consoles and a local platform
	@$(BIN)/sekoia-lab demo

PYTEST := $(BIN)/python -m pytest -q
WORKERS := -n 4 --dist worksteal# more than cores: many tests wait

test: venv ## Run the tests of the promises (seven minutes)
	@$(PYTEST) $(WORKERS)

test-all: venv ## Run the slow tests that make test leaves out (six minutes)
	@$(PYTEST) $(WORKERS) -m "slow and not timing"

timing: venv ## Run the tests that measure seconds, one at a time, on a quiet machine (four minutes)
	@$(PYTEST) -m timing

faults: venv ## Run the complete fault matrix, all crashes and all hostile consoles (half an hour)
	@FAULTS=all $(PYTEST) -n auto -m "not timing and not images" tests/faults tests/test_hostile_console.py tests/test_changes_over_time.py tests/lab/packaging/test_new_vendor.py

exports: venv ## Export each module both ways and run the checks of the library's CI there (needs the network)
	@EXPORTS=all $(PYTEST) -n auto -m slow tests/lab/packaging/test_export.py tests/test_installing.py

bench: venv ## Fail if a device costs too many times the CPU of the floor (a minute)
	@$(BIN)/sekoia-lab bench --devices 2000 --repeats 3 --check

benchmarks: venv ## Measure all of docs/performance.md again (a quarter of an hour, on a quiet machine)
	@$(BIN)/python -m benchmarks

check: venv ## Lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(TYPED)

docs: venv ## Write docs/fields and the trigger files from the mapping tables
	@$(BIN)/python -m lab.packaging.fields

lock: venv ## Pin the dependencies again (needs uv on the PATH)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build --emit-build-options --no-emit-index-url --no-header --all-extras --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build --emit-build-options --no-emit-index-url --no-header --constraints requirements.lock --output-file requirements-image.lock pyproject.toml
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-build --emit-build-options --no-emit-index-url --no-header --group fuzz --output-file requirements-fuzz.lock

IMAGES := $(patsubst %/Dockerfile,%,$(wildcard */Dockerfile))
IMAGE_PREFIX = $(if $(REGISTRY),$(REGISTRY)/)$(if $(NAMESPACE),$(NAMESPACE)/)automation-module-# as sekoia-automation names them
ENGINE ?= $(firstword $(foreach engine,docker podman buildah,$(shell $(engine) info >/dev/null 2>&1 && echo $(engine))))

images: export BUILDAH_FORMAT = docker# which has a HEALTHCHECK; the OCI format has none
images: export BUILDAH_LAYERS ?= true
images: ## Build the images with docker, podman or buildah, for REGISTRY and NAMESPACE if given, and show their sizes
	@test -n "$(ENGINE)" || { echo "Neither docker, podman nor buildah works here." >&2; exit 1; }
	@revision=$$(git describe --always --abbrev=40 --exclude '*' --dirty 2>/dev/null || echo unknown); \
	for module in $(IMAGES); do \
		name=$(IMAGE_PREFIX)$$(sed -n 's/^  "slug": "\(.*\)",/\1/p' $$module/manifest.json):$$(sed -n 's/^ARG .*VERSION=//p' $$module/Dockerfile) && \
		echo "Building $$name ..." && \
		$(ENGINE) build --quiet $(BUILD_FLAGS) --label org.opencontainers.image.revision=$$revision --tag $$name \
			--file $$module/Dockerfile . >/dev/null || exit 1; \
	done
	@$(ENGINE) images --filter reference='*automation-module-*'

sbom: venv ## Write the list of an image's packages (CycloneDX) to .lab/sbom.json
	@mkdir -p .lab
	@$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file .lab/sbom.json requirements-image.lock
	@echo "The packages of requirements-image.lock, with their hashes: .lab/sbom.json"

audit: venv ## Look up known vulnerabilities of an image's packages
	@$(BIN)/python -m lab.packaging.audit

FUZZ_SECONDS ?= 60

fuzz: venv ## Fuzz parsing, pages and mappers for FUZZ_SECONDS (Linux on x86-64)
	@mkdir -p .lab/fuzz-corpus
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --upgrade --target .lab/fuzz -r requirements-fuzz.lock
	@PYTHONPATH=.:.lab/fuzz $(BIN)/python tests/fuzz/fuzz_records.py -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1 -artifact_prefix=.lab/fuzz- .lab/fuzz-corpus

clean: ## Remove .venv, caches and the files of the lab
	@rm -rf .venv .lab .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
