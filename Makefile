# Everything a reader or an author runs. `make book` and `make test` work on a fresh clone.
#
#   make book             build the HTML from the stored outputs
#   make book STRICT=1    rebuild everything, every warning an error
#   make pdf              the book as one PDF, _build/learning-3d-rotations.pdf (needs Chromium)
#   make test             the quick tests, then most chapters re-executed against their stored outputs
#   make test-all         the exhaustive tests, then the other chapters
#   make notebooks        re-execute the chapters in place
#   make seeds SHIFT=7    execute them with every seed shifted by 7 and list what falls; writes nothing
#   make sweep            the long experiments of Part III into results/ (about three and a half hours on 2 cores);
#                         resumes where it was stopped. DEVICE=cuda: budgets four times as long
#   make bench           speed and accuracy of the projections into results/ (about 10 minutes)
#   make assignments      check the assignments and pack what students get; SEED=3: another variant
#   make grade            SUBMISSIONS=folder: grade a folder of notebooks (SEED=3, as handed out)
#   make claims           measure the claims again and write book/claims.json
#   make lint             style and types of the Python files
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

.PHONY: book pdf test test-all notebooks seeds sweep bench assignments grade claims lint clean venv

book: venv
	$(BIN)/jupyter-book build $(STRICT_FLAGS) .
	@echo "The book: open _build/html/index.html"

pdf: venv
	$(BIN)/jupyter-book build --builder singlehtml .
	$(BIN)/python book/print_pdf.py _build/singlehtml/book/preface.html _build/learning-3d-rotations.pdf

# Two workers of one thread each: small tensors gain nothing from more, and lose to each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2
TESTS := $(PYTEST) --dist loadgroup tests -m
NBVAL := $(PYTEST) --dist loadfile --nbval --nbval-current-env \
	--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300
# By book/execution.json these take two fifths of the time of all twenty.
LONG_CHAPTERS := $(wildcard chapters/1[3-6]_*.ipynb chapters/21_*.ipynb)

test: book
	$(TESTS) "not exhaustive"
	$(NBVAL) $(filter-out $(LONG_CHAPTERS),$(wildcard chapters/*.ipynb))

test-all: book
	$(TESTS) exhaustive
	$(NBVAL) $(LONG_CHAPTERS)

notebooks: export OMP_NUM_THREADS = 1
notebooks: venv
	$(BIN)/python book/execute_notebooks.py

# One thread by default; OMP_NUM_THREADS=4 and ATEN_CPU_CAPABILITY=default are handed on.
# CHAPTERS="chapters/05_*.ipynb": only those.
SHIFT ?= 1

seeds: export OMP_NUM_THREADS ?= 1
seeds: venv
	$(BIN)/python book/shifted_seeds.py $(SHIFT) $(CHAPTERS)

# The published set is results/plan.toml; TABLES="images sgd": only what writes those. Real clouds are
# not part of the book; chapter 14 says where they are. Without them, their entry is left out; so are
# entries that need recorded motions, where there are none in MOTIONS.
DEVICE ?= cpu
CLOUDS ?= data/airplanes
MOTIONS ?= data/motions
SWEEP := $(BIN)/python -m rotlib.experiments.sweep --plan results/plan.toml

sweep: venv
	$(SWEEP) --device $(DEVICE) $(if $(wildcard $(CLOUDS)/.),--clouds $(CLOUDS)) \
		$(if $(wildcard $(MOTIONS)/.),--motions $(MOTIONS)) $(TABLES)

# One thread, all methods in one run: only ratios within it mean anything.
bench: export OMP_NUM_THREADS = 2
bench: venv
	mkdir -p .benchmarks
	$(BIN)/pytest benchmarks/bench_orthogonalize.py -p no:xdist -q -W ignore --benchmark-disable-gc \
		--benchmark-json .benchmarks/run.json --benchmark-columns min,median --benchmark-sort name
	$(BIN)/python benchmarks/tables.py .benchmarks/run.json

SEED ?= 0

assignments: venv
	$(BIN)/python assignments/check.py --seed $(SEED)

# GRADE_FLAGS: --roster FILE, --cell-seconds N, ...; $(BIN)/python assignments/grade.py --help.
grade: venv
	@test -n "$(SUBMISSIONS)" || { echo "make grade SUBMISSIONS=folder: which folder?" >&2; exit 2; }
	$(BIN)/python assignments/grade.py "$(SUBMISSIONS)" --seed $(SEED) $(GRADE_FLAGS)

claims: venv
	$(BIN)/python -m claims --write

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

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
