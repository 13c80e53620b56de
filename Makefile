# One place for every command; .ci/run calls these targets too.
# Needs Python 3.11 or newer, with pip and venv. Everything else is installed into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# Idle threads spin for a moment only: long spinning makes two busy processes ten times slower, none at
# all makes one alone twice as slow (benchmarks/training_step.py).
export GOMP_SPINCOUNT := 10000

.PHONY: help demo test test-fast test-gpu lint format bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       learn a concept from the shipped clip, write runs/demo/"
	@echo "make test       all tests (test-fast: without the learning tests)"
	@echo "make test-gpu   what only a GPU can show, on the GPU that is there (the other tests never use it)"
	@echo "make lint       linters, formatter, type checker, import rules (format: fix what can be fixed)"
	@echo "make bench      speed of a training step (what takes an hour is called by itself: benchmarks/)"
	@echo "make clean      remove .venv, caches and build outputs (runs/ stays)"

demo: $(VENV)/.runtime
	$(BIN)/setseq demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

test-gpu: $(VENV)/.dev
	SETSEQ_TEST_GPU=1 $(BIN)/python -m pytest tests/gpu

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/training_step.py

clean:
	rm -rf $(VENV) build dist .hypothesis .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are touched last, so that an interrupted installation starts over.
$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit("setseq needs Python 3.11 or newer; call make PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.runtime: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $(VENV)/.runtime $@
