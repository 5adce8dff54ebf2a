# `make demo` and `make test` do all the set-up; a second run of either starts at once.
# A stamp in .venv stands for each set of extras installed; what it depends on is what asks for another install.

VENV    := .venv
PYTHON3 := $(VENV)/bin/python
UV      := $(shell command -v uv 2>/dev/null)
ifdef UV
INSTALL := $(UV) pip install --quiet --python $(PYTHON3) --constraint constraints.txt
else
INSTALL := $(PYTHON3) -m pip --quiet --disable-pip-version-check install --constraint constraints.txt
endif
# A process for each core and one more (tests/conftest.py), and the tests of a file in one of them; ARGS comes after it:
# ARGS="-n 0 --pdb".
SPREAD  := -n logical --maxprocesses 4 --dist loadfile
ARGS    ?=
# Programs that tests start import the package, and would compile it each time; so would each process of pytest the tests.
unexport PYTHONDONTWRITEBYTECODE
DEMO    ?=

.PHONY: help demo test test-slow test-all test-faults test-matrix test-backends lint format types build bench clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: $(VENV)/.has-demo  ## set up, run the demo (DEMO="--executor threads ..." for its options)
	$(VENV)/bin/asyncexec demo $(DEMO)

test: $(VENV)/.has-test  ## set up, run the test suite (ARGS="-k plan ..." for pytest's options)
	$(PYTHON3) -m pytest $(SPREAD) $(ARGS)

test-slow: $(VENV)/.has-test  ## the slow tests alone
	$(PYTHON3) -m pytest $(SPREAD) -m "slow and not backend and not faults" $(ARGS)

test-all: $(VENV)/.has-test  ## the test suite with the slow tests
	$(PYTHON3) -m pytest $(SPREAD) -m "not backend and not faults" $(ARGS)

test-faults: $(VENV)/.has-test  ## random faults, with a table of what came of them (ROUNDS=4, SEED=... repeats, ARGS)
	ROUNDS=$(ROUNDS) SEED=$(SEED) $(PYTHON3) -m pytest tests/faults -m faults $(SPREAD) --dist load $(ARGS)

test-matrix: $(VENV)/.has-test  ## every fault at every moment, on a disk and on S3, with a table (OUTAGE=60 seconds, ARGS)
	OUTAGE_SECONDS=$(OUTAGE) $(PYTHON3) -m pytest tests/object_stores -m faults $(SPREAD) --dist load $(ARGS)

test-backends: $(VENV)/.has-backends  ## every backend against its real system (ARGS="ray dask" for some)
	$(PYTHON3) tools/test-backends $(ARGS)

lint: $(VENV)/.has-test  ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/.has-test  ## ruff: mend what it can
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

types: $(VENV)/.has-test  ## mypy (strict) and pyright
	$(VENV)/bin/mypy
	PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT=1 $(VENV)/bin/pyright

build: $(VENV)/.has-test  ## wheel and sdist into dist/
	$(PYTHON3) -m build --outdir dist .

bench: $(VENV)/.has-test  ## the benchmarks, peers side by side
	$(PYTHON3) -m benchmarks $(ARGS)

clean:  ## remove .venv and everything generated
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp, not .venv/bin/python: that is a link, and its time is the time of the interpreter it leads to.
$(VENV)/.made: .python-version
	@python=$$(tools/find-python) && echo "making $(VENV) with $$python" && \
	if [ -n "$(UV)" ]; then $(UV) venv --quiet --clear --python "$$python" $(VENV); \
	else "$$python" -m venv --clear $(VENV); fi
	@touch $@

$(VENV)/.has-demo: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo]"
	@touch $@

$(VENV)/.has-test: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo,test]"
	@touch $@ $(VENV)/.has-demo

$(VENV)/.has-backends: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo,test,backends]"
	@touch $@ $(VENV)/.has-test $(VENV)/.has-demo
