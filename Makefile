# Two commands are all that a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
# Not ?=: VENV in the environment is somebody else's. To choose a folder: make VENV=folder
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The tests start the program some hundred times. Without bytecode it would be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

# Most tests wait for processes most of the time, so more of them run at once than there are processors. Those of a file
# share its servers, and stay together; long files come first (tests/conftest.py). JOBS=0: one by one.
JOBS := 5
PARALLEL = -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint unit local bench texts schemas site lowest clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime  ## compare every way to share state that this machine has to offer
	$(BIN)/ipclab demo

test: $(VENV)/.test  ## the whole suite, on real servers
	@$(BIN)/python scripts/get_servers.py
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST)

UNIT := not server and not slow
unit: $(VENV)/.test  ## what to run before each commit: the modules, one by one
	$(BIN)/python -m pytest tests/unit -m "$(UNIT)" $(PARALLEL) $(PYTEST)

local: $(VENV)/.test  ## the part of the suite that needs no server: the modules and the commands
	$(BIN)/python -m pytest tests/unit tests/cli -m "not server" $(PARALLEL) $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy experiments/*.py
	$(BIN)/mypy benchmarks/*.py
	$(BIN)/mypy experiments/claims/*.py
	$(BIN)/mypy --package tests.support

bench: $(VENV)/.test  ## what the lab itself costs
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/floor.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/checks.py
	$(BIN)/python benchmarks/overhead.py

texts: $(VENV)/.test  ## collect the texts to translate, and compile the catalogue of the translations
	$(BIN)/python scripts/texts.py

schemas: $(VENV)/.test  ## write the JSON schemas of results, histories and claims
	$(BIN)/python scripts/schemas.py

site: $(VENV)/.runtime  ## the documentation as a site, in build/site
	@$(PIP) -e '.[docs]'
	$(BIN)/python scripts/site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Without the tests of documents and of what needs an extra: these ask for newer versions.
WITHOUT := docs choose/test_choose_snippets.py backends/tasks test_workflow.py
lowest: $(VENV)/.made  ## the unit tests and a short comparison with the lowest versions that are allowed
	$(BIN)/python scripts/lowest.py > $(VENV)/lowest.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/lowest.txt -e '.[unit]'
	$(BIN)/python -m pytest tests/unit -m "$(UNIT)" $(WITHOUT:%=--ignore=tests/unit/%) $(PARALLEL) $(PYTEST)
	$(BIN)/ipclab run comparison --duration 0.2 --warmup 0.1 --repeats 1

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/make-venv

$(VENV)/.runtime: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing ipclab into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing ipclab and its test tools into $(VENV)"
	@$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.runtime
