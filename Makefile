# Every target installs what it needs into .venv first. Nothing outside the checkout is touched, but
# for Debian packages that tests need: root installs them by apt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   ?= demo-output

MODELS ?= models-output

.PHONY: models demo demo-numbers test programs check format bench bench-quality clean help

help:
	@echo "make demo    run the whole road on synthetic patients; results in $(DEMO)/"
	@echo "make demo-numbers  run it, and write docs/demo.md of what came out"
	@echo "make models  make the models that ship, in hours; resumes in $(MODELS)/"
	@echo "make test    run all tests"
	@echo "make check   lint, types, floors"
	@echo "make format  format the code"
	@echo "make bench   measure speed and memory"
	@echo "make bench-quality  compare trainings by quality for time (40 minutes)"
	@echo "make clean   remove .venv, .venv-keras and $(DEMO)/"

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,check]'
	touch $@

demo: $(READY)
	$(BIN)/bodycomp demo $(DEMO) --overwrite

# The numbers of docs/demo.md and its picture.
demo-numbers: demo
	$(BIN)/python docs/images/draw_demo.py $(DEMO)

# The models that ship: sets, trainings, test and cards, then into the package.
models: $(READY)
	$(BIN)/python -m default_models $(MODELS) --install $(if $(REAL),--real $(REAL))

# Another order at every run; one order in continuous integration, so that a failure repeats.
# Bytecode is kept, whatever the environment asks: tests start many processes.
test: $(READY) programs
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder \
		$(if $(CI),--randomly-seed=345579892)

# Chromium, Orthanc and dicom3tools; PROGRAMS=--required makes a missing one an error.
programs:
	sh tests/install_programs.sh $(PROGRAMS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) .venv-keras/.ready
	$(BIN)/python -m benchmarks

# What others would train with, to compare with; an environment of its own.
.venv-keras/.ready: benchmarks/keras_rival/requirements.txt
	test -x .venv-keras/bin/python || $(PYTHON) -m venv .venv-keras
	.venv-keras/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# About 40 minutes on an otherwise idle machine; the curves of docs/development/performance.md.
bench-quality: $(READY) .venv-nnunet/.ready
	$(BIN)/python -m benchmarks.quality quality-output --nnunet .venv-nnunet
	$(BIN)/python -m benchmarks.quality_curves quality-output docs/images/time-to-quality.png

.venv-nnunet/.ready: benchmarks/nnunet/setup.sh
	sh $< .venv-nnunet $(PYTHON)
	touch $@

clean:
	rm -rf $(VENV) .venv-keras .venv-nnunet quality-output $(DEMO)
