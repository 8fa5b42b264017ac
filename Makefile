# make demo: from nothing to a trained network with a report.   make test: everything that CI checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
BUDGET ?= 90s

.PHONY: demo dev check format test clean

demo: demo/done
	@echo
	@echo "report:  demo/run/report.html"
	@echo "masks:   demo/predictions (overlays in demo/predictions/overlays)"
	@echo "own data: $(BIN)/uvala train FOLDER"

demo/data/README.txt: | $(VENV)/installed
	$(BIN)/uvala sample-data demo/data

# what was cut off is made anew; what is complete is left alone
demo/done: | demo/data/README.txt
	rm -rf demo/run demo/predictions
	$(BIN)/uvala train demo/data --out demo/run --budget $(BUDGET)
	$(BIN)/uvala evaluate demo/run demo/data
	$(BIN)/uvala predict demo/run demo/data/images --out demo/predictions --overlay
	@touch $@

dev: $(VENV)/installed-dev

check: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: check
	$(BIN)/pytest

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "found $$($(PYTHON) --version); expected Python 3.11 or newer; run make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf demo
