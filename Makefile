# Everything a reader or an author runs. `make book` and `make test` work on a fresh clone.
#
#   make book             build the HTML from the stored outputs
#   make book STRICT=1    rebuild everything, every warning an error
#   make pdf              the book as one PDF, _build/learning-3d-rotations.pdf (needs Chromium)
#   make test             all tests, then every chapter re-executed against its stored outputs
#   make notebooks        re-execute the chapters in place
#   make sweep            the long experiments of Part III into results/ (about three and a half hours on 2 cores);
#                         resumes where it was stopped. DEVICE=cuda: budgets four times as long
#   make bench           speed and accuracy of the projections into results/ (about 8 minutes)
#   make assignments      check the assignments and pack what students get; SEED=3: another variant
#   make grade            SUBMISSIONS=folder: grade a folder of notebooks (SEED=3, as handed out)
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

.PHONY: book pdf test notebooks sweep bench assignments grade claims lint clean venv

book: venv
	$(BIN)/jupyter-book build $(STRICT_FLAGS) .
	@echo "The book: open _build/html/index.html"

pdf: venv
	$(BIN)/jupyter-book build --builder singlehtml .
	$(BIN)/python book/print_pdf.py _build/singlehtml/book/preface.html _build/learning-3d-rotations.pdf

# Two workers of one thread each: small tensors gain nothing from more, and lose to each other.
test: export OMP_NUM_THREADS = 1
test: book
	$(BIN)/pytest -n 2 tests
	$(BIN)/pytest -n 2 --dist loadfile --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300 chapters

notebooks: export OMP_NUM_THREADS = 1
notebooks: venv
	$(BIN)/python book/execute_notebooks.py

# The published set. Each line tunes the rate on validation with three seeds from one grid for all
# heads, then trains eight. On a GPU the budgets go on by a factor of four, in tables of their own.
comma := ,
DEVICE ?= cpu
RESULTS := results/$(if $(filter cuda,$(DEVICE)),cuda/)
LONGER := $(if $(filter cuda,$(DEVICE)),$(comma)32000)
LONGEST := $(if $(filter cuda,$(DEVICE)),$(comma)128000)
SWEEP := $(BIN)/python -m rotlib.experiments.sweep --device $(DEVICE) --seeds 8 --tune-seeds 3
ADAM := --optimizers adam --rates 3e-4,1e-3,3e-3,1e-2,3e-2
SGD := --optimizers sgd --rates 3e-3,1e-2,3e-2,1e-1
EVERY := euler,rotvec,quaternion,5d,6d-gs,6d-raw,9d-raw,9d-raw-gs,9d-svd,9d-svd-clamped,9d-svd-taylor,9d-rpmg,9d-fisher,10d,9d-raw-then-svd
MAIN := 9d-raw,9d-svd,6d-gs,9d-fisher
BEST := $(MAIN),9d-raw-then-svd
APART := 9d-even,9d-svd-direction,9d-svd-length,9d-even-scale,9d-svd-pole,9d-svd-clipped
THREE := 9d-raw,9d-svd,6d-gs
DOUBT := 9d-raw,9d-svd,9d-fisher
CHAINS := $(BEST),quaternion,9d-rpmg,9d-raw-penalty,9d-even
# Real clouds are not part of the book; chapter 14 says where they are. Without them: skipped.
CLOUDS ?= data/airplanes

sweep: venv
	$(SWEEP) --task wahba --heads $(EVERY) $(ADAM) --tune-steps 500 --steps 500 --out $(RESULTS)wahba.csv
	$(SWEEP) --task wahba --heads $(EVERY) $(ADAM) --tune-steps 2000 --steps 2000,8000$(LONGER) --out $(RESULTS)wahba.csv
	$(SWEEP) --task points --heads $(EVERY) $(ADAM) --tune-steps 500 --steps 500 --out $(RESULTS)points.csv
	$(SWEEP) --task points --heads $(EVERY) $(ADAM) --tune-steps 2000 --steps 2000$(LONGER) --out $(RESULTS)points.csv
	$(SWEEP) --task points --heads $(BEST),9d-raw-gs $(ADAM) --tune-steps 2000 --steps 8000 --out $(RESULTS)points.csv
	$(SWEEP) --task kinematics --heads $(CHAINS) $(ADAM) --tune-steps 500 --steps 500 --out $(RESULTS)kinematics.csv
	$(SWEEP) --task kinematics --heads $(CHAINS) $(ADAM) --tune-steps 2000 --steps 2000,8000$(LONGER) --out $(RESULTS)kinematics.csv
	$(SWEEP) --task wahba --variant noisy,ambiguous --heads $(DOUBT) $(ADAM) --tune-steps 2000 --steps 2000,8000$(LONGER) --out $(RESULTS)wahba.csv --confidence $(RESULTS)confidence.csv
	$(SWEEP) --task wahba,points --heads $(APART) $(ADAM) --tune-steps 500 --steps 500 --out $(RESULTS)ablation.csv
	$(SWEEP) --task wahba,points --heads $(APART) $(ADAM) --tune-steps 2000 --steps 2000,8000$(LONGER) --out $(RESULTS)ablation.csv
	$(SWEEP) --task images --heads $(THREE),9d-even $(ADAM) --tune-steps 500 --steps 500 --out $(RESULTS)images.csv
	$(SWEEP) --task images --heads $(THREE),9d-even $(ADAM) --tune-steps 2000 --steps 2000 --out $(RESULTS)images.csv
	$(SWEEP) --task points --variant noisy,ambiguous --heads $(DOUBT) $(ADAM) --tune-steps 2000 --steps 2000 --out $(RESULTS)points.csv --confidence $(RESULTS)confidence.csv
	$(SWEEP) --task points --heads 9d-raw,9d-svd $(ADAM) --tune-steps 2000 --steps 32000$(LONGEST) --out $(RESULTS)points.csv
	$(SWEEP) --task wahba --heads $(THREE),9d-even $(SGD) --tune-steps 2000 --steps 2000,8000$(LONGER) --out $(RESULTS)sgd.csv
	$(SWEEP) --task points --heads $(THREE),9d-even $(SGD) --tune-steps 2000 --steps 2000$(LONGER) --out $(RESULTS)sgd.csv
	test ! -d $(CLOUDS) || $(SWEEP) --task points --clouds $(CLOUDS) --heads $(THREE) $(ADAM) --tune-steps 2000 --steps 2000 --out $(RESULTS)airplanes.csv
	$(SWEEP) --task wahba --heads $(THREE) $(ADAM) --tune-steps 2000 --steps 32000$(LONGEST) --out $(RESULTS)wahba.csv
	$(SWEEP) --task wahba,points --heads 9d-even,9d-svd-clipped $(ADAM) --tune-steps 2000 --steps 32000$(LONGEST) --out $(RESULTS)ablation.csv
	$(SWEEP) --task wahba,points --heads 9d-raw,9d-svd $(ADAM) --tune-steps 32000 --steps 32000 --out $(RESULTS)rates.csv
	test ! -d $(CLOUDS) || $(SWEEP) --task points --clouds $(CLOUDS) --heads $(THREE) $(ADAM) --tune-steps 2000 --steps 8000$(LONGER) --out $(RESULTS)airplanes.csv
	$(SWEEP) --task images --heads 9d-raw,9d-svd,9d-even $(ADAM) --tune-steps 2000 --steps 8000$(LONGER) --out $(RESULTS)images.csv
	$(SWEEP) --task points --variant noisy,ambiguous --heads $(DOUBT) $(ADAM) --tune-steps 2000 --steps 8000$(LONGER) --out $(RESULTS)points.csv --confidence $(RESULTS)confidence.csv
	$(SWEEP) --task points --heads $(THREE) $(ADAM) --tune-steps 2000 --steps 32000$(LONGEST) --out $(RESULTS)points.csv
	$(SWEEP) --task points --heads $(EVERY) $(ADAM) --tune-steps 2000 --steps 8000 --out $(RESULTS)points.csv

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
