# Two commands: `make demo` (the whole workflow on the embedded sky) and `make test`.
# `make help` lists the others.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Build of torch: cpu, or e.g. cu130 for CUDA (with NVIDIA's libraries, some 4 GB).
TORCH ?= cpu
STAMP := $(VENV)/.installed
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help env demo real full beyond search test test-archive test-cluster lint check documents lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(STAMP) ## create .venv from the lock (once); for CUDA: make env TORCH=cu130

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The lock decides what is installed; the package itself is installed in place. On PyPI torch is
# built for CUDA, so it comes first, from its own index; the lock's version is then there already.
$(STAMP): requirements.lock.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (looked for '$(PYTHON)'); set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --timeout 30 --retries 1 --extra-index-url https://download.pytorch.org/whl/$(TORCH) $(if $(filter cpu,$(TORCH)),--no-deps) $$(grep ^torch== requirements.lock.txt)
	$(PIP) --no-deps -r requirements.lock.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c "import torch" || { echo "torch cannot be loaded: was https://download.pytorch.org/whl/$(TORCH) within reach?"; exit 1; }
	touch $@

demo: $(STAMP) ## run the whole workflow on the embedded sky
	snakemake
	@python -m mwatlas summary results/sky

real: $(STAMP) ## run it on the bright Gaia DR3 stars (needs the data file, see README)
	snakemake --config release=brightsky
	@python -m mwatlas summary results/brightsky

full: $(STAMP) ## conditional_potential with the paper's number of stars: half an hour on 2 cores
	snakemake --configfile config/sizes/laptop.yaml --config studies=[conditional_potential]
	@python -m mwatlas summary results/sky

beyond: $(STAMP) ## the same, with fewer stars, more and less dust and other orbits: Figure 8 and Table 4
	snakemake --configfile config/sizes/laptop.yaml config/sizes/beyond.yaml --config studies=[conditional_potential]
	@python -m mwatlas summary results/sky

search: $(STAMP) ## search for hyper-parameters of conditional_potential with optuna
	snakemake search --config studies=[conditional_potential]

test: lint check ## linters and all tests

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# Tests that need servers of their own have targets of their own.
check: $(STAMP)
	pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test-archive: $(STAMP) ## the project's queries on a real TAP server (as root it installs DaCHS)
	tests/archive/install.sh
	pytest tests/archive

test-cluster: $(STAMP) ## runs and accidents on a real SLURM cluster on this machine (as root)
	tests/cluster/install.sh
	pytest tests/cluster

documents: $(STAMP) ## regenerate config/config.yaml, the schema and the reference pages
	python -m mwatlas documents

lock: ## pin the newest versions that fit pyproject.toml (needs uv)
	uv pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --extra dev --torch-backend cpu pyproject.toml -o requirements.lock.txt
	sed -i "s/^\(torch==[0-9.]*\)+cpu/\1/; /download.pytorch.org/d" requirements.lock.txt

clean: ## remove the environment; results stay
	rm -rf $(VENV)
