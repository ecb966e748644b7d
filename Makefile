# Two commands do everything on a fresh machine:
#   make demo   install, run the whole job on the packaged model and sample data, print the answer and where the page is
#   make test   install the development tools and run the default test suite
# And `make docs` builds the documentation into docs/_build/html; warnings are errors.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Two workers that share two cores: more threads per worker only fight.
TEST_ARGS ?= -n 2

.PHONY: demo test lint format docs clean

demo: $(VENV)/.installed-demo
	@$(BIN)/repdrift demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell
	PATH="$(BIN):$$PATH" $(BIN)/pyright

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	@OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -E -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once; a few minutes)"
	@$(PIP) install -q -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once; a few minutes)"
	@$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once; a few minutes)"
	@$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/notebooks src/*.egg-info .pytest_cache .ruff_cache .hypothesis
