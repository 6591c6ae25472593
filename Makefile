# Two commands and nothing before them: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SERVE ?= 1
# Four at a time: the tests wait for servers and processes more than they compute. In the order of tests/conftest.py.
PYTEST_ARGS ?= -n 4 --dist loadfile --no-loadscope-reorder --durations 25
# Demo and tests start hundreds of processes: each would compile what it imports anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo dashboard test test-unit lower-bounds lint style chaos bench docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 14)))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

# --no-deps: the lock is complete, so nothing is resolved. Bytecode is compiled at once by all cores, which pip cannot;
# what only tests need is compiled as it is imported, for most of it never is.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-compile
OURS := data_platform schemas populate readers dashboard
$(VENV)/.platform: requirements/platform.lock pyproject.toml | $(BIN)/python
	@echo "Installing (once) ..."
	@$(INSTALL) --require-hashes -r requirements/platform.lock
	@PATH="$(abspath $(BIN)):$$PATH" $(INSTALL) --no-build-isolation -e .
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib $(OURS) || true # packages may hold templates that are no Python
	@touch $@

$(VENV)/.development: requirements/development.lock $(VENV)/.platform
	@$(INSTALL) --require-hashes -r requirements/development.lock
	@touch $@

demo: $(VENV)/.platform ## a small biotech at work, then the dashboard until Ctrl-C (SERVE=0: end after the summary)
	@$(BIN)/data-platform demo $(if $(filter 0,$(SERVE)),--no-serve)

dashboard: $(VENV)/.platform ## the dashboard on what is catalogued
	@$(BIN)/data-platform dashboard

# Types take one core minutes, so they are checked beside the tests; what is wrong with them is told at the end.
test: style ## lint, types, import direction and all tests
	@$(BIN)/mypy > $(VENV)/types 2>&1 & types=$$!; \
	$(BIN)/python -m pytest $(PYTEST_ARGS); tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types; exit $$((tests + types))

test-unit: $(VENV)/.development ## only the tests that need no server
	@$(BIN)/python -m pytest tests/unit

lower-bounds: ## the unit tests with the oldest versions that pyproject.toml admits (needs uv)
	@rm -rf $(VENV)-lowest && uv venv -q --python $(PYTHON) $(VENV)-lowest
	@uv pip compile -q --resolution lowest-direct --extra demo --extra s3 --group test --group build \
		pyproject.toml -o $(VENV)-lowest/requirements.txt
	@uv pip install -q --python $(VENV)-lowest -r $(VENV)-lowest/requirements.txt
	@PATH="$(abspath $(VENV)-lowest/bin):$$PATH" uv pip install -q --python $(VENV)-lowest --no-deps --no-build-isolation -e .
	@$(VENV)-lowest/bin/python -m pytest -q -p no:cacheprovider tests/unit

lint: style ## ruff, mypy, import direction
	@$(BIN)/mypy

style: $(VENV)/.development
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

chaos: $(VENV)/.development ## a full minute of killed workers, restarted databases and a store that refuses
	@CHAOS_SECONDS=60 $(BIN)/python -m pytest tests/integration/test_chaos.py

bench: $(VENV)/.development ## every benchmark, small
	@for name in $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -v '^_'); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name --small || exit 1; done

docs: $(VENV)/.development ## reference pages from the code
	@$(BIN)/python -m docs

lock: ## renew the requirement locks (needs uv)
	@requirements/lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
