# One or two lines a target; what is longer lives in tools/.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo down test check fmt simulate bench docs soak run-packages dev-packages servers

help: ## say what can be asked for
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/.client ## install all that is needed and show a load balancer at work
	$(BIN)/statera demo

down: ## stop what `make demo` left running and remove all that it made
	$(BIN)/statera down

test: servers check ## everything that CI runs: `make check`, then every other suite
	tools/run-suites

check: .venv/.dev ## style, types, floors and unit tests, in under a minute
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/lint-imports --no-logo
	$(BIN)/mypy src tests tools $(wildcard bench/*.py) && $(BIN)/pytest -q -n 2 tests/unit

fmt: .venv/.dev ## format the code and mend what can be mended by itself
	$(BIN)/ruff check --fix-only && $(BIN)/ruff format

simulate: .venv/.dev ## run N schedules of the simulation, or one again: make simulate SEED=7
	N="$(N)" SEED="$(SEED)" FIRST="$(FIRST)" PYTHONPATH=. $(BIN)/python -m tests.simulation

bench: .venv/.dev ## measure, and write the tables into docs/benchmarks.md; nothing is asserted
	$(BIN)/python -m bench

soak: servers .venv/.dev ## kill workers under writes for ten minutes on each database
	STATERA_SOAK_SECONDS=600 $(BIN)/pytest -q -rP tests/services/test_kills.py

docs: .venv/.dev ## check that every link in the documentation leads somewhere
	$(BIN)/python tools/links.py

.venv/.client: pyproject.toml constraints.txt | run-packages
	tools/install-venv client && touch $@

.venv/.dev: pyproject.toml constraints.txt | dev-packages
	tools/install-venv client,dev && touch .venv/.client $@

run-packages:
	@tools/install-packages run

dev-packages:
	@tools/install-packages run dev

servers:
	@tools/install-packages servers
