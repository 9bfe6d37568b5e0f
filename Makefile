# Two commands matter: `make demo` and `make test`. Both make their own environment in .venv.

# 3.11 first: it is what the pinned set was tested on
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SERVE ?= yes
PORT ?= 8080

.PHONY: help demo test lint types format install clean

help:
	@echo "make demo           read computed studies, print their findings, serve them (SERVE=no: stop after the table)"
	@echo "make test           all tests, on up to four cores"
	@echo "make lint types     ruff, mypy"
	@echo "make format         apply ruff's formatting"
	@echo "make clean          remove the environment and the demonstration's data"

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; install it, or say make PYTHON=/path/to/python3."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23.1" -c constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $(STAMP)

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/radsuite demo --port $(PORT) $(if $(filter no,$(SERVE)),--no-serve)

# A worker a core, and its networks on one thread: two that take every core wait for each other. Whole files go
# to one worker, the longest first (tests/conftest.py).
test: export OMP_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo-data
