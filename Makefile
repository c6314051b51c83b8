# Everything runs in .venv, made here; PYTHON chooses the interpreter behind it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := $(shell find synth models cli assets -type f -not -path '*/__pycache__/*')

.PHONY: demo own-data test test-slow lint types check bench assets clean

## Portraits in, pictures with other affect out: build/demo/out
demo: $(VENV)/.installed
	rm -rf build/demo
	$(BIN)/synth samples build/demo/neutral
	$(BIN)/synth generate --input build/demo/neutral --output build/demo/out \
	    --va 0.9,0.15 --va 0.5,0.3 --va 0.3,0.85 --va -0.1,0.8 \
	    --va -0.44,0.8 --va -0.64,0.5 --va -0.84,-0.4 --va 0.5,-0.5
	@echo "neutral portraits: build/demo/neutral"
	@echo "generated pictures: build/demo/out/images, labels: build/demo/out/metadata.csv"

## Scans of known truth to a model and gallery of one's own: build/own-data/report.md; a quarter of an hour
own-data: $(VENV)/.installed
	$(BIN)/synth experiment run own-data --output build/own-data --workers 2

## Tests of the installed package
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

## mypy knows nothing of the folder mapping in pyproject.toml: show it the package as installed
types: $(VENV)/.installed-dev
	rm -rf build/typing && mkdir -p build/typing/synth
	ln -s $(CURDIR)/synth/* build/typing/synth/
	ln -s $(CURDIR)/models $(CURDIR)/cli $(CURDIR)/assets build/typing/synth/
	cd build/typing && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml \
	    --cache-dir $(CURDIR)/.mypy_cache -p synth

check: test lint types

## Tables of times; minutes
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/generate.py

## After a build script rewrote an asset: refresh digests
assets:
	$(PYTHON) assets/update.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A stale build/lib would leak deleted modules into the wheel.
$(VENV)/.dependencies: pyproject.toml constraints.txt | $(VENV)/bin/python
	rm -rf build/lib build/bdist*
	$(PIP) .
	touch $@

$(VENV)/.installed: $(VENV)/.dependencies $(SOURCES)
	rm -rf build/lib build/bdist*
	$(PIP) --no-deps --force-reinstall .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) '.[dev]'
	touch $@
