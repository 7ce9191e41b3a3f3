# Every target sets up what it needs in .venv; only Python >= 3.10 and a Rust toolchain must be there before.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
EXT := python/sidkit/_core.abi3.so
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python >= 3.10 is missing: install it or set PYTHON=" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "cargo is missing: install a stable Rust toolchain" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1" "maturin>=1.9,<2"
	$(PY) -m pip install --quiet --editable '.[all]' --group test --group lint
	touch $@

$(EXT): $(RUST_SOURCES)
	cargo build --release --package sidkit-python
	cp "$${CARGO_TARGET_DIR:-target}/release/lib_core.so" $@

.PHONY: install ext
install: $(VENV)/.installed ext ## Create .venv with sidkit, all its extras and the test tools
ext: $(EXT) ## Build the Rust extension into the package

.PHONY: test test-rust test-python
test: test-rust test-python ## Run every test
test-rust: ## Run the Rust tests
	cargo test --release --workspace
test-python: install ## Run the Python tests
	$(PY) -m pytest

.PHONY: lint format
lint: install ## ruff, mypy --strict, stubtest, rustfmt, clippy, rustdoc: all silent
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	MYPYPATH=python $(PY) -m mypy.stubtest sidkit._core
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
format: install ## Format all code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	cargo fmt --all
