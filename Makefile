# Two commands do everything on a machine that has Python 3.11 or newer:
#   make demo    install, fit the default model on the embedded digits, evaluate it, write a report
#   make test    install what tests need, then lint, types, layers, doctests and tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: demo test test-slow lint format clean

demo: $(VENV)/.ready
	$(BIN)/ancestral fit vae digits --max-minutes 1 --seed 1 --out $(DEMO) --overwrite
	$(BIN)/ancestral evaluate $(DEMO)

test: lint
	$(BIN)/python -m pytest -q -m "not slow" -n auto --maxprocesses 8 --dist worksteal

test-slow: $(VENV)/.ready-test
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.ready-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

# torch goes first: asked for by name and version it is the build the machine has at hand,
# while another package's open range could pull in a newer and much larger one
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: ancestral needs Python 3.11 or newer"; echo "hint: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $@
