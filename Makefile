# Everything a reader or an author runs. `make book` and `make test` work on a fresh clone.
#
#   make book             build the HTML from the stored outputs
#   make book STRICT=1    rebuild everything, every warning an error
#   make test             all tests, then every chapter re-executed against its stored outputs
#   make notebooks        re-execute the chapters in place
#   make claims           measure the claims again and write book/claims.json
#   make lint             style of the Python files
#   make clean            remove the built book (and .venv with `make clean VENV_TOO=1`)
#
# CPU=1 takes PyTorch from its CPU-only index: on Linux the default one brings gigabytes of CUDA.
# The switch matters the first time only, when .venv is made.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TORCH := $(shell grep "^torch" requirements.txt)
TORCH_INDEX := $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu)
STRICT_FLAGS := $(if $(STRICT),-W -n --keep-going --all)

.PHONY: book test notebooks claims lint clean venv

book: venv
	$(BIN)/jupyter-book build $(STRICT_FLAGS) .
	@echo "The book: open _build/html/index.html"

# Two workers of one thread each: small tensors gain nothing from more, and lose to each other.
test: export OMP_NUM_THREADS = 1
test: book
	$(BIN)/pytest -n 2 tests
	$(BIN)/pytest -n 2 --dist loadfile --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300 chapters

notebooks: venv
	$(BIN)/python book/execute_notebooks.py

claims: venv
	$(BIN)/pytest tests/test_claims.py --write-claims -q

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf _build $(if $(VENV_TOO),$(VENV))

venv: $(STAMP)

# PyTorch comes alone and first, so that the extra index is asked for nothing else.
$(STAMP): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps $(TORCH_INDEX) $(TORCH)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(STAMP)
