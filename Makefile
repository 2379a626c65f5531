# You can also type each of these commands yourself. On Windows: `py course.py lab`, `py course.py test`.
# `make lab ARGS="--no-browser"` and `make test ARGS="-k kl"` pass ARGS on; PYTHON=... names another Python.

ARGS =
find = $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit($(1))' >/dev/null 2>&1 && echo $$python && break; done)
PYTHON ?= $(or $(call find,sys.hexversion < 0x30b0000),$(call find,0),$(error \
	Python was not found. Install Python 3.11, then run make again))

.PHONY: help lab test test-all test-long test-browser test-machines test-cpus build long site bench clean

help:
	@echo "make lab           install what is missing, open JupyterLab on the first notebook"
	@echo "make test          install what is missing, compare every notebook, run the quick tests and style checks"
	@echo "make test-all      run test, test-long, test-browser and test-machines"
	@echo "make test-long     run the longer tests: many seeds, hostile submissions, nbgrader, a cluster"
	@echo "make test-browser  test the interactive figures and the site in Chromium"
	@echo "make test-machines test the course as other users, and on machines that lack something"
	@echo "make test-cpus     compare the notebooks' outputs under several processor settings"
	@echo "make build         build the notebooks from sources/"
	@echo "make long          run the experiments that are too long for a lesson, and store their tables"
	@echo "make site          build the edition for reading into build/site"
	@echo "make bench         run the benchmarks"
	@echo "make clean         remove .venv and caches, and nothing else"

lab:
	@$(PYTHON) course.py lab -- $(ARGS)

test:
	@$(PYTHON) course.py test -- $(ARGS)

test-all:
	@$(PYTHON) course.py test-all -- $(ARGS)

test-long:
	@$(PYTHON) course.py test-long -- $(ARGS)

test-browser:
	@$(PYTHON) course.py test-browser -- $(ARGS)

test-machines:
	@$(PYTHON) course.py test-machines -- $(ARGS)

test-cpus:
	@$(PYTHON) course.py setup --grade --test
	.venv/bin/python tests/cpus.py $(ARGS)

build:
	@$(PYTHON) course.py setup --grade --test
	.venv/bin/vae-lessons build $(ARGS)

long:
	@$(PYTHON) course.py setup --grade --test
	@for script in benchmarks/long/[0-9]*.py; do .venv/bin/python $$script $(ARGS) || exit 1; done

site:
	@$(PYTHON) course.py site -- $(ARGS)

bench:
	@$(PYTHON) course.py setup --grade --test --bench
	.venv/bin/python benchmarks/run.py $(ARGS)
	.venv/bin/python benchmarks/grading.py

clean:
	@$(PYTHON) course.py clean
