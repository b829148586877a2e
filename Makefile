# `make demo` and `make test` need Python 3.11 or newer and nothing else: they make .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= genolm-demo
CONSTRAINTS ?= constraints.txt
# What an editable installation compiles: it is installed again when one of these changes.
COMPILED := $(wildcard kernels/genolm_kernels/native/source/*.[ch]) hatch_build.py \
	kernels/genolm_kernels/native/compiler.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest test-models lint format bench goals twenty-sets clean

help:
	@echo "make demo         the whole job on bundled DNA: pretrain, fine-tune, score (2 minutes)"
	@echo "make test         lint, types, import contracts and the test suite (under 10 minutes)"
	@echo "make test-all     the same with the slow tests"
	@echo "make test-oldest   tests of models on the oldest torch and transformers (once a release)"
	@echo "make lint         ruff, mypy and the import contracts only"
	@echo "make bench        time every kernel on every backend that runs here"
	@echo "make twenty-sets  recipes/RESULTS.md: 20 labelled sets in GENOLM_DATA (5 hours; goes on where it was)"
	@echo "make goals        what the kernels are to reach on two CPU cores, and what they reach here"

$(VENV)/pip.done:
	$(PYTHON) -c 'import sys; sys.exit("genolm needs Python 3.11 or newer; try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/core.done: $(VENV)/pip.done pyproject.toml $(CONSTRAINTS) $(COMPILED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	touch $@

$(VENV)/dev.done: $(VENV)/pip.done pyproject.toml $(CONSTRAINTS) $(COMPILED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev]"
	touch $@ $(VENV)/core.done

demo: $(VENV)/core.done
	$(BIN)/genolm demo -o $(DEMO)

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n auto -m "not slow and not gpu"

test-all: lint
	$(BIN)/python -m pytest -n auto

test-oldest:
	$(MAKE) VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt test-models

test-models: $(VENV)/dev.done
	$(BIN)/python -m pytest -n auto -m "not slow and not gpu" tests/models tests/mixers tests/heads \
		tests/kernels tests/tokenization tests/training

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/core.done
	$(BIN)/python kernels/benchmarks/run.py

goals: $(VENV)/core.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[bench]"
	$(BIN)/python kernels/benchmarks/goals.py

twenty-sets: $(VENV)/core.done
	test -d runs/human_chrX/model || $(BIN)/genolm pretrain human_chrX train.threads=1 \
		data.fasta=$(GENOLM_DATA)/genomes/human_GRCh37_chrX_1-70Mb.fa.gz
	test -d runs/yeast_mamba/model || $(BIN)/genolm pretrain yeast_mamba train.threads=1 \
		data.fasta=$(GENOLM_DATA)/genomes/scerevisiae_R64-1-1.fa.gz
	$(BIN)/genolm evaluate folder --data $(GENOLM_DATA)/classification --recipe twenty_sets \
		-o runs/twenty_sets --threads 1 --markdown recipes/RESULTS.md

clean:
	rm -rf $(VENV) build dist
