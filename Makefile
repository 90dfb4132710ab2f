# `make run` serves the page, `make test` tests everything. Both need Python >= 3.11 and make, and install the rest.
#   make test-all                                         make test, and the tests marked long
#   make check FILE=tests/engine/test_session.py          one test file; installs requirements.txt and pytest only
#   make run PORT=8080 MODEL=flux-schnell
#   make run HOST=0.0.0.0 CACHELENS_AUTH=user:password    other machines may use the page (none: without a password)
#   make run TORCH="torch torchvision --index-url URL"    installed first: a CPU wheel, say (`make clean` to change it later)
#   make test LOCKED=1                                    installs exactly the tried versions (requirements.lock)
HOST ?= 127.0.0.1
PORT ?= 7860
MODEL ?=
TORCH ?=
LOCKED ?=
SMOKE ?=
WHAT_IF ?=
TUNE ?=
QUALITY ?=
MARKED ?= not long
export HOST PORT MODEL

VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
# Two processes of one thread each. The tests of a file stay together and share what they set up. Browser tests come
# last, in one process: beside other work their clicks come late.
SIDE_BY_SIDE := -n 2 --dist loadfile
NPM := $(shell command -v npm 2>/dev/null)
NO_NPM := @echo "The page's scripts are left out: npm is missing. Install it with apt-get install npm, or brew install node." >&2
LOOSE := requirements.txt requirements-bench.txt requirements-dev.txt
LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
PIP := $(RUN) -m pip install --disable-pip-version-check

.PHONY: run test test-all check lint lint-js test-js unit bench scale what-if quality gpu-check train-tiny evaluate-tiny train-lightning example tour soak lock audit clean

run: $(VENV)/.run
	$(RUN) app.py

test: lint test-js
	$(RUN) tools/browser.py --install
	$(RUN) -m pytest --ignore=tests/e2e $(SIDE_BY_SIDE) -m "$(MARKED)" --durations=20
	$(RUN) -m pytest tests/e2e -m "$(MARKED)" --durations=20

test-all:
	$(MAKE) test MARKED=

# FILE may name several files, or a test: FILE="tests/engine/test_session.py::test_name"
check: $(VENV)/.check
	$(if $(FILE),,$(error Name a test file: make check FILE=tests/engine/test_session.py))
	$(RUN) -m pytest $(FILE)

lint: lint-js $(VENV)/.dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m basedpyright --pythonpath $(RUN)
	$(RUN) tools/sizes.py

# The page's scripts: checked and tested where npm is. The page itself needs neither node nor npm.
lint-js: $(if $(NPM),node_modules/.installed)
	$(if $(NPM),npm run --silent lint,$(NO_NPM))

test-js: $(if $(NPM),node_modules/.installed)
	$(if $(NPM),npm test --silent,$(NO_NPM))

unit: $(VENV)/.dev
	$(RUN) -m pytest --ignore=tests/parity --ignore=tests/e2e $(SIDE_BY_SIDE)

bench: $(VENV)/.run
	$(RUN) -m studies.bench

# How many workers a benchmark can feed: writes docs/scale.md, a few minutes.
scale: $(VENV)/.dev
	$(RUN) -m studies.scale

gpu-check: $(VENV)/.run
	$(RUN) -m tools.gpu_check --weights $(or $(WEIGHTS),real)

# Full size: 4,400 real runs, and 4,000 for what a tune is worth: about two hours each. Can be stopped and gone on with; more processes:
# see python -m studies.whatif --help.
what-if: $(VENV)/.run
	$(RUN) -m studies.whatif $(WHAT_IF)
	$(RUN) -m studies.tune $(TUNE)

# Full size: about 100 settings x 50 prompts, an hour on two idle cores. Can be stopped and gone on with.
quality: $(VENV)/.run
	$(RUN) -m studies.quality $(QUALITY)

train-tiny: $(VENV)/.run
	$(RUN) -m assets.train_tiny_flux all $(if $(SMOKE),--smoke)

evaluate-tiny: $(VENV)/.run
	$(RUN) -m assets.train_tiny_flux evaluate

# Distils the embedded model into the LoRAs of 8 and 4 steps: half an hour on two idle cores. Can be stopped and gone on with.
train-lightning: $(VENV)/.run
	$(RUN) -m assets.train_lightning all $(if $(SMOKE),--smoke)

# On an idle machine: the comparison that the page shows before the first run.
example: $(VENV)/.run
	$(RUN) -m tools.example $(MODEL)

# All attacks of tests/hardening in full, about half an hour: writes docs/reliability.md.
soak: $(VENV)/.dev
	rm -f build/soak.jsonl
	@mkdir -p build
	CACHELENS_SOAK=build/soak.jsonl $(RUN) -m pytest tests/hardening -m hardening -o timeout=3600 --durations=20
	$(RUN) -m tools.reliability build/soak.jsonl

# The versions that were tried, with hashes, for every system: what this environment has. Run `make test` before it.
lock: $(VENV)/.dev
	$(RUN) -m pip freeze --exclude uv > $(VENV)/tried.txt
	$(RUN) -m uv pip compile $(LOCK_OPTIONS) $(LOOSE) --constraint $(VENV)/tried.txt --output-file requirements.lock

# Known faults of the locked versions; sbom.json lists the versions for other tools.
audit: $(VENV)/.dev
	$(RUN) -m uv tool run pip-audit --strict --requirement requirements.lock --disable-pip
	@mkdir -p build
	$(RUN) -m uv tool run --from cyclonedx-bom cyclonedx-py requirements requirements.lock --output-file build/sbom.json

# The pictures of the page in README.md.
tour: $(VENV)/.dev
	$(RUN) tools/browser.py --install
	$(RUN) -m tools.tour

clean:
	rm -rf $(VENV) node_modules .pytest_cache .ruff_cache

# The first Python that is new enough: a Mac's python3 may be 3.9 with a newer one beside it.
$(VENV)/.made:
	@for python in $(PYTHON) python3 python python3.14 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; "$$python" -m venv --clear $(VENV) && touch $@; exit; \
	  fi; \
	done; echo "No Python 3.11 or newer was found: install one, or name it: make PYTHON=/path/to/python" >&2; exit 1

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.txt
	$(if $(TORCH),$(PIP) $(TORCH))
	$(PIP) $(if $(LOCKED),--require-hashes -r requirements.lock,-r requirements.txt)
	@touch $@

$(VENV)/.check: $(VENV)/.run
	$(PIP) pytest
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt requirements-bench.txt
	$(if $(LOCKED),,$(PIP) -r requirements-dev.txt)
	@touch $@
