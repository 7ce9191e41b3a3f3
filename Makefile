# Every target sets up what it needs in .venv; only Python >= 3.10 and a Rust toolchain must be there before.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PY := $(VENV)/bin/python
EXT := python/sidkit/_core.abi3.so
BUILD := $(or $(CARGO_TARGET_DIR),target)
LIBRARY := $(if $(filter Darwin,$(shell uname -s)),lib_core.dylib,lib_core.so)
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python >= 3.10 is missing: install it or set PYTHON=" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "cargo is missing: install a stable Rust toolchain" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1" "maturin>=1.9,<2"
	$(PY) -m pip install --quiet --editable '.[all]' --group test --group lint --group docs
	touch $@

# Replaced by a rename, since writing into a library that a process has mapped would crash it.
$(EXT): $(RUST_SOURCES)
	cargo build --release --package sidkit-python
	cp "$(BUILD)/release/$(LIBRARY)" $@.new
	mv $@.new $@

.PHONY: install ext
install: $(VENV)/.installed ext ## Create .venv with sidkit, all its extras and the test tools
ext: $(EXT) ## Build the Rust extension into the package

.PHONY: demo
demo: install ## Run the main job on ml-100k: tokens, models, metrics, recommendations, a report
	$(VENV)/bin/sidkit run ml-100k --preset demo --out runs/demo
	$(VENV)/bin/sidkit recommend runs/demo --user 196 -k 5

.PHONY: test test-rust test-python test-wheel test-foreign
test: test-rust test-python ## Run every test
test-rust: ## Run the Rust tests
	cargo test --profile checked --workspace
test-python: install ## Run the Python tests, file by file in WORKERS processes of one thread each
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile
test-wheel: $(VENV)/.installed ## Build sdist, and from it a wheel; try that where only NumPy is installed
	rm -rf $(BUILD)/dist
	$(PY) -m maturin sdist --out $(BUILD)/dist
	CARGO_TARGET_DIR="$(abspath $(BUILD))" \
		$(PY) -m pip wheel --quiet --no-deps --wheel-dir $(BUILD)/dist $(BUILD)/dist/sidkit-*.tar.gz
	$(PYTHON) -m venv --clear $(BUILD)/bare
	$(BUILD)/bare/bin/python -m pip install --quiet numpy $(BUILD)/dist/sidkit-*.whl
	cd $(BUILD) && bare/bin/python -I "$(CURDIR)/tests/packaging/bare.py"
# The linker and the libraries are those of Debian's gcc-*-linux-gnu, the emulator that of qemu-user.
ARCH = $(firstword $(subst -, ,$(TARGET)))
CARGO_VARIABLE = CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)
test-foreign: ## Run the tests of the core for another CPU, emulated: TARGET=aarch64-unknown-linux-gnu
	@test -n "$(TARGET)" || { echo "set TARGET, such as s390x-unknown-linux-gnu" >&2; exit 1; }
	rustup target add $(TARGET)
	$(CARGO_VARIABLE)_LINKER=$(ARCH)-linux-gnu-gcc \
		$(CARGO_VARIABLE)_RUNNER="qemu-$(ARCH) -L /usr/$(ARCH)-linux-gnu" \
		cargo test --profile checked --package sidkit-core --target $(TARGET)

.PHONY: campaign
MINUTES ?= 30
campaign: install ## Attack files, arguments and processes for MINUTES, and record the counts
	SIDKIT_SECONDS=60 cargo test --profile checked --package sidkit-core --test trie_damage campaign -- --nocapture
	OMP_NUM_THREADS=1 $(PY) -m tests.campaign --minutes $(MINUTES)

.PHONY: certify sanitize
ROWS ?= 10000000
certify: ## Compare the codes of every kernel of this CPU with the definition on ROWS rows, and write a certificate
	@mkdir -p $(BUILD)
	set -o pipefail; { \
		echo "# make certify ROWS=$(ROWS); $$(date -u +%F), commit $$(git rev-parse --short HEAD), $$(rustc --version)"; \
		cargo run --quiet --release --package sidkit-bench --bin exactness -- $(ROWS); \
	} | tee $(BUILD)/certificate.txt

# Sanitizers are unstable options, which the stable compiler has behind this variable. ThreadSanitizer needs the component
# rust-src, since the standard library must be compiled with it too.
SANITIZED = RUSTC_BOOTSTRAP=1 cargo test --profile checked --package sidkit-core --target $(HOST)
HOST = $(shell rustc --print host-tuple)
sanitize: ext ## Memory errors and data races: AddressSanitizer, ThreadSanitizer, and valgrind for the Python extension
	ASAN_OPTIONS=allocator_may_return_null=1 RUSTFLAGS=-Zsanitizer=address \
		$(SANITIZED) --target-dir $(BUILD)/address --tests
	TSAN_OPTIONS=allocator_may_return_null=1 RUSTFLAGS=-Zsanitizer=thread \
		$(SANITIZED) --target-dir $(BUILD)/thread -Zbuild-std --lib --test live --test live_folder --test kmeans
	OMP_NUM_THREADS=1 PYTHONMALLOC=malloc valgrind --undef-value-errors=no --num-callers=30 --log-file=$(BUILD)/valgrind.log \
		$(PY) -m pytest -q -p no:xdist tests/core/test_perceptron.py tests/core/test_assign_details.py \
		tests/core/test_kmeans.py tests/ids/test_trie.py tests/ids/test_live.py tests/ids/test_trie_nearby.py tests/rerank
	! grep "_core.abi3" $(BUILD)/valgrind.log

.PHONY: lint lint-python lint-rust format
lint: lint-python lint-rust ## ruff, mypy --strict, stubtest, rustfmt, clippy, rustdoc: all silent
lint-python: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	MYPYPATH=python $(PY) -m mypy.stubtest sidkit._core
lint-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
format: install ## Format all code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	cargo fmt --all

.PHONY: bench docs clean
bench: install ## Run the benchmarks: criterion for the core, pytest-benchmark against peers
	$(PY) -m pip install --quiet --group bench
	cargo bench --workspace
	$(PY) -m pytest benches --benchmark-only
docs: $(VENV)/.installed ## Build the documentation site and that of the Rust core, strictly and offline
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@echo "site: target/site/index.html; Rust core: $(BUILD)/doc/sidkit_core/index.html"
clean: ## Remove what was built; .venv and runs stay
	cargo clean
	rm -f $(EXT) $(VENV)/.installed
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
