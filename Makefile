# make demo   set up everything, then look at a synthetic dataset, measure it and train on it
# make test   set up everything, then run the test suite
# make check  what CI runs after the tests: lint, types, docs

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test check lint types docs bench references pictures clean

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/datakit inspect faces --synthetic --seed 3 -t "Rescale(256)" -t "RandomCrop(224)" \
	    -t "RandomHorizontalFlip(pairs=FACE68_PAIRS)" -t ToTensor --out demo/inspect.html
	$(BIN)/datakit bench faces --synthetic --records 256 -t "Rescale(256)" -t "RandomCrop(224)" -t ToTensor \
	    --workers 0,1,2 --plot demo/bench.png
	$(BIN)/datakit train faces --synthetic --out demo/train --force
	@echo "look at: $(CURDIR)/demo/inspect.html, $(CURDIR)/demo/bench.png and $(CURDIR)/demo/train/predictions.png"

# two at once: many tests wait for processes that they have started; more would disturb those that measure time. In the
# order in which they are found, the trainings come first, so that none of them is left over at the end
test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: lint types docs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python docs/pages.py
	$(BIN)/zensical build --strict

bench: $(STAMP)
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/measuring.py
	$(BIN)/python benchmarks/arrays.py
	$(BIN)/python benchmarks/buckets.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/text.py
	$(BIN)/python benchmarks/translation.py
	$(BIN)/python benchmarks/checking.py
	$(BIN)/python benchmarks/alike.py

# hours: all references on real data, honest and sabotaged
references: $(STAMP)
	$(BIN)/python benchmarks/references.py ../shared/data

# the pictures and the printed example of the documents; wants a quiet machine and Chromium
pictures: $(STAMP)
	DATAKIT_PICTURES=$(CURDIR)/docs/pictures $(BIN)/python -m pytest tests/test_browser.py -k pictures_for_the_documents
	$(BIN)/python benchmarks/example.py

# uv sets up in seconds what takes pip minutes; compiled once, or each process would compile what it imports of torch
# where PYTHONDONTWRITEBYTECODE is set
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[test,lint,docs]"
	@touch $@

clean:
	rm -rf .venv demo site docs/datasets docs/changelog.md build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
