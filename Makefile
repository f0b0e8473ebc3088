# The same commands as in README.md, by name.
.PHONY: install check test chaos bench
VENV ?= .venv
BIN = $(VENV)/bin
# An environment with grpcio, zerorpc, fastapi, uvicorn and httpx, and the folder of the decision's test sets.
PEERS ?= $(BIN)/python
DATA ?= benchmarks/data

install: ; python3 -m venv $(VENV) && $(BIN)/pip install -c constraints.txt -e '.[dev]'
check: ; $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports && $(BIN)/mypy
test: ; $(BIN)/python -m pytest
chaos: ; $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "chaos and not slow" tests/chaos
bench: ; $(BIN)/python benchmarks/mesh.py --peers-python $(PEERS) && \
  $(BIN)/python benchmarks/decision.py --data $(DATA) --cases $(DATA)/cases.jsonl
