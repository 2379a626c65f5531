# Every line is a command you could type yourself. On Windows: `py course.py lab`, `py course.py test`.
# `make lab ARGS="--no-browser"` and `make test ARGS="-k kl"` pass ARGS on; PYTHON=... names another Python.

ARGS =
find = $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit($(1))' >/dev/null 2>&1 && echo $$python && break; done)
PYTHON ?= $(or $(call find,sys.hexversion < 0x30b0000),$(call find,0),$(error \
	Python was not found. Install Python 3.11, then run make again))

.PHONY: help lab test test-browser test-cpus build site bench clean

help:
	@echo "make lab           install what is missing, open JupyterLab on the first notebook"
	@echo "make test          install what is missing, run every test, notebook and style check"
	@echo "make test-browser  install what is missing, try the interactive figures and the site in Chromium"
	@echo "make test-cpus     compare the notebooks' outputs under several processor settings"
	@echo "make build         build the notebooks from sources/"
	@echo "make site          build the edition for reading into build/site"
	@echo "make bench         run the benchmarks"
	@echo "make clean         remove .venv and caches, and nothing else"

lab:
	@$(PYTHON) course.py lab -- $(ARGS)

test:
	@$(PYTHON) course.py test -- $(ARGS)

test-browser:
	@$(PYTHON) course.py test-browser -- $(ARGS)

test-cpus:
	@$(PYTHON) course.py setup
	.venv/bin/python tests/cpus.py $(ARGS)

build:
	@$(PYTHON) course.py setup
	.venv/bin/vae-lessons build $(ARGS)

site:
	@$(PYTHON) course.py site -- $(ARGS)

bench:
	@$(PYTHON) course.py setup --bench
	.venv/bin/python benchmarks/run.py $(ARGS)
	.venv/bin/python benchmarks/grading.py

clean:
	@$(PYTHON) course.py clean
