# make demo   the whole pipeline on synthetic data, in demo/
# make test   tests and linters
# Both set themselves up: a virtual environment in .venv with the pinned requirements, and Sim3DR built in place.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RASTERIZER_SOURCES := setup.py Sim3DR/_rasterize.pyx $(wildcard Sim3DR/kernel/*)

.PHONY: setup demo test lint fuzz clean

setup: $(VENV)/.requirements $(VENV)/.rasterizer

$(VENV)/.requirements: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.rasterizer: $(VENV)/.requirements $(RASTERIZER_SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

DEMO := demo
DEMO_STEP := --data_root $(DEMO)/data --cache_dir $(DEMO)/cache
DEMO_RUN := $(DEMO_STEP) --name demo --gpu_ids 0 --checkpoints_dir $(DEMO)/checkpoints

demo: setup
	rm -rf $(DEMO)
	$(BIN)/python step00_synthesize.py --data_root $(DEMO)/data --num_subjects 130 --num_test_subjects 10 \
		--num_actions 4 --frames 1 --image_size 400
	$(BIN)/python step01_preparation.py $(DEMO_STEP)
	$(BIN)/python step02_train.py $(DEMO_RUN) --img_size 112 --batch_size 16 --epochs 26 --num_workers 1
	$(BIN)/python step04_make_submission.py $(DEMO_RUN) --output_dir $(DEMO)/output
	$(BIN)/python step03_eval.py $(DEMO_RUN) --output_dir $(DEMO)/output
	$(BIN)/python step03_eval.py $(DEMO_RUN) --output_dir $(DEMO)/output --split val --references
	$(BIN)/python step05_predict.py --input $(DEMO)/data/image/$$(head -n 1 $(DEMO)/data/list/WCPA_track2_test_subject_id_list.txt) \
		--name demo --gpu_ids 0 --checkpoints_dir $(DEMO)/checkpoints --output_dir $(DEMO)/output/predict --faces detected
	@echo "synthetic faces: $(DEMO)/cache/check.jpg"
	@echo "submission: $(DEMO)/output/my_submission.npy"

test: setup lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(BIN):$$PATH" $(BIN)/cython-lint Sim3DR

# Twenty minutes of random meshes through Sim3DR's kernel, compiled with sanitizers.
fuzz:
	sh tests/Sim3DR/fuzz/fuzz.sh

clean:
	rm -rf $(VENV) build $(DEMO) Sim3DR/_rasterize.cpp Sim3DR/*.so
