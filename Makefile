# Everything a fresh machine needs: Python 3.11 to 3.13 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up
FOLDERS := src etl migrations tests benchmarks

.PHONY: help setup demo test lint format docs bench lock clean

help: ## Show what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(SET_UP) ## Make the virtual environment, with pinned packages

$(SET_UP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(SET_UP) ## Simulate a small DRUG-seq release, load it, show what is in the database
	$(BIN)/pbdb demo

test: $(SET_UP) ## Run the whole suite
	$(BIN)/pytest -n 2 --dist loadscope

lint: $(SET_UP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(SET_UP) ## Format the code
	$(BIN)/ruff format .

docs: $(SET_UP) ## Write docs/dictionary.md and docs/er_diagram.md from the catalog
	$(BIN)/pbdb dictionary --out docs

bench: $(SET_UP) ## Run the benchmarks, one after the other (but those of whole releases, which need a folder)
	for script in $(filter-out %_full.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

lock: $(SET_UP) ## Pin the packages anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev --extra iceberg pyproject.toml -o requirements.lock

clean: ## Remove the virtual environment and what tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
