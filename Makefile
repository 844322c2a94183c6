# Everything a fresh machine needs: Python 3.11 to 3.13 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up
SET_UP_DEV := $(VENV)/.set-up-dev
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
FOLDERS := src etl migrations tests benchmarks
# What benchmarks share, and those of whole releases, which need a folder.
NOT_BENCHED := beyond cell_files compendium compendium_lines lines made_up_effects made_up_names many_effects queries report report_charts
BENCHED := $(filter-out %_full.py $(NOT_BENCHED:%=benchmarks/%.py),$(wildcard benchmarks/*.py))
BENCH_LINES := benchmarks/results/lines.jsonl

.PHONY: help setup setup-dev demo test faults lint format docs bench bench-report lock clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(SET_UP) ## Make the virtual environment with what pbdb runs on

setup-dev: $(SET_UP_DEV) ## The same, and what tests, linters and benchmarks add

$(SET_UP): requirements.lock pyproject.toml
	@echo "Installing pbdb and the packages it runs on into $(VENV) (about 1 GB; some minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-build-isolation -e .
	@touch $@

$(SET_UP_DEV): $(SET_UP) requirements-dev.lock
	@echo "Installing what development adds (Spark, a JDK, scanpy, linters: about 1 GB more) ..."
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(SET_UP) ## Simulate a small DRUG-seq release, load it, show what is in the database
	$(BIN)/pbdb demo

test: $(SET_UP_DEV) ## Run the whole suite
	$(BIN)/pytest -n 2 --dist loadscope

faults: $(SET_UP_DEV) ## Run the tests of what others may send and what readers may try
	$(BIN)/pytest tests/faults

lint: $(SET_UP_DEV) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(SET_UP_DEV) ## Format the code
	$(BIN)/ruff format .

docs: $(SET_UP) ## Write docs/dictionary.md and docs/er_diagram.md from the catalog
	$(BIN)/pbdb dictionary --out docs

bench: $(SET_UP_DEV) ## Run the benchmarks, one after the other, and keep their lines (not those of whole releases)
	for script in $(BENCHED); do PBDB_BENCH_LINES=$(BENCH_LINES) $(BIN)/python $$script || exit 1; done

bench-report: $(SET_UP_DEV) ## Write docs/performance.md and its pictures from the lines that benchmarks left
	$(BIN)/python benchmarks/report.py

lock: ## Pin the packages anew (needs uv): what a user runs, then what development adds to the same versions
	$(COMPILE) --extra setup --extra serve pyproject.toml -o requirements.lock
	$(COMPILE) -c requirements.lock --extra setup --extra serve --extra dev --extra iceberg pyproject.toml -o requirements-dev.lock

clean: ## Remove the virtual environment and what tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
