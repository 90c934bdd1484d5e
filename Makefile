# Makes the environment, then hands over to Snakemake, pytest or a linter. Inside .venv plain `snakemake` does the same.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
CORES ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)
WORKERS ?= $(CORES)
INSTALLED := $(VENV)/.installed
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: help
help: ## what can be made
	@echo 'make figures/NAME.pdf    a figure and all it needs: fetched where a remote has it, computed where not'
	@sed -nE 's/^([a-z.-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 25

# The oldest supported Python comes first: it is the one the pinned versions were tried on.
$(INSTALLED): pyproject.toml bridge/pyproject.toml constraints.txt
	@for python in "$${PYTHON:-python3.11}" python3.12 python3.13 python3.14 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$python; break; fi; done; \
	test -n "$${found:-}" || { echo 'Python 3.11 or newer with its venv module is needed; name it: make PYTHON=/path/to/python ...' >&2; exit 1; }; \
	echo "making $(VENV) with $$found" >&2; \
	"$$found" -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e bridge -e '.[study,test,docs,dev,ssh,s3,slurm]'
	python -m dvcsnake setup
	@touch $@

.PHONY: venv
venv: $(INSTALLED) ## the environment alone, in .venv

# Snakemake decides what is to be done, so it is asked every time.
figures/%: $(INSTALLED) always
	snakemake --cores $(CORES) $@

.PHONY: always
always:

.PHONY: all
all: $(INSTALLED) ## every figure
	snakemake --cores $(CORES)

# Without a screen the page is named and not opened.
.PHONY: site
site: $(INSTALLED) ## the page of the whole study with all that it links to, fetched or made, and opened in a browser
	snakemake --cores $(CORES) all
	@echo "The page is $(CURDIR)/site/index.html"
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] || [ "$$(uname)" = Darwin ]; then \
	  python -m webbrowser "file://$(CURDIR)/site/index.html" >/dev/null || true; fi

.PHONY: test
test: $(INSTALLED) ## all tests
	OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)
	OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist worksteal bridge $(PYTEST)

.PHONY: test-services
# A worker for each file: jobs on SLURM are waited for most of the time.
test-services: $(INSTALLED) ## tests on an ssh server, S3 and SLURM, which it starts and stops; says which cannot be had, and why (SMOKE=yes: the smoke set on SLURM)
	OMP_NUM_THREADS=1 DVCSNAKE_TEST_SERVICES=yes python -m pytest -rs -n 2 --dist loadfile bridge/tests/test_remotes.py bridge/tests/test_cluster.py $(PYTEST)
	OMP_NUM_THREADS=1 DVCSNAKE_TEST_SERVICES=yes SMOKE=$(SMOKE) python -m pytest -rs tests/workflow/test_slurm.py $(PYTEST)

.PHONY: smoke
smoke: $(INSTALLED) ## the whole pipeline at the smoke set, from nothing, in a scratch folder (DIR=... names it)
	CORES=$(CORES) workflow/smoke.sh $(DIR)

BENCHMARKS := bench-pace bench-growth bench-dag bench-stages bench-schedule

.PHONY: bench $(BENCHMARKS)
bench: $(BENCHMARKS) ## all benchmarks, on an idle machine; bench-NAME is bench/NAME.py alone (JSON=FOLDER keeps the numbers)

$(BENCHMARKS): bench-%: $(INSTALLED)
	PYTHONPATH=bridge/tests python -m bench.$* $(if $(JSON),--json $(JSON)/$*.json)

.PHONY: bench-report
bench-report: $(INSTALLED) ## docs/performance.md and its figure from the numbers in docs/performance
	PYTHONPATH=bridge/tests python -m bench.report

.PHONY: pages
pages: $(INSTALLED) ## figures, results and claims in README.md and docs, from what the remote has and what is here
	snakemake --cores $(CORES) $$(python -m pgprim.commands.pages --targets)
	python -m pgprim.commands.pages

.PHONY: docs
docs: $(INSTALLED) ## the documentation as a site, build/docs/index.html, without the net; a warning is an error
	OMP_NUM_THREADS=1 python -m sphinx --fail-on-warning --keep-going -q -b html docs build/docs

SNAKEFILES := Snakefile bridge/src/dvcsnake/rules.smk bridge/src/dvcsnake/templates/Snakefile

.PHONY: lint
lint: $(INSTALLED) ## all linters
	ruff check
	ruff format --check
	snakefmt --check $(SNAKEFILES)
	workflow/lint.sh
	lint-imports

.PHONY: format
format: $(INSTALLED) ## what the linters can mend by themselves
	ruff check --fix
	ruff format
	snakefmt $(SNAKEFILES)

.PHONY: constraints
constraints: $(INSTALLED) ## pin the versions that .venv holds now
	@{ sed -n '/^#/p' constraints.txt; \
	  python -m pip freeze --all --exclude-editable | grep -ivE '^(pip|wheel|pgprim|dvcsnake)\b' | sed -E 's/\+cpu$$//'; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	@touch $(INSTALLED)
