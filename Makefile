# make demo   the main job on the corpus that is already on this machine, from a bare checkout
# make test   lint, types and tests, from a bare checkout
# make ui     a Prefect server on loopback with the deployments, started and watched in the browser
# make bench  every measured comparison;  make bench-equal  those of EQUAL;  make bench-bandit  those of the default strategy
#              bench-batcher  those of entity resolution;  bench-llm  those of asking a model;  bench-quad  those of influence;
#              bench-wrong-event  those of wrong labels;  bench-lead  those of choosing while training;
#              bench-crowd  those of truth inference, assignment, cost, latency, patterns and learning

PYTHON ?= $(firstword $(shell command -v python3.11) $(shell command -v python3.12) $(shell command -v python3))
BIN := .venv/bin
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: demo test lint bench bench-equal bench-bandit bench-batcher bench-llm bench-quad bench-wrong-event bench-lead bench-crowd ui clean

demo: .venv/installed
	$(BIN)/sluice equal --config data/demo.yaml

test: lint
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: bench-equal bench-bandit bench-batcher bench-llm bench-quad bench-wrong-event bench-lead bench-crowd

bench-equal: .venv/installed
	$(BIN)/python -m tests.bench.equal

bench-bandit: .venv/installed
	$(BIN)/python -m tests.bench.bandit

bench-batcher: .venv/installed
	$(BIN)/python -m tests.bench.batcher

bench-llm: .venv/installed
	$(BIN)/python -m tests.bench.llm

bench-quad: .venv/installed
	$(BIN)/python -m tests.bench.quad
	$(BIN)/python -m tests.bench.frontier

bench-wrong-event: .venv/installed
	$(BIN)/python -m tests.bench.wrong_event

bench-lead: .venv/installed
	$(BIN)/python -m tests.bench.lead
	$(BIN)/python -m tests.bench.foretold

bench-crowd: .venv/installed
	$(BIN)/python -m tests.bench.truth
	$(BIN)/python -m tests.bench.assignment
	$(BIN)/python -m tests.bench.annotate
	$(BIN)/python -m tests.bench.deduction
	$(BIN)/python -m tests.bench.latency
	$(BIN)/python -m tests.bench.patterns
	$(BIN)/python -m tests.bench.discover
	$(BIN)/python -m tests.bench.crowd_learning

ui: .venv/installed
	deployments/ui.sh

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,lora]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
