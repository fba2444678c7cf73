# Two targets do everything: `make demo` and `make test`. Both create the environment if needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt constraints.txt $(shell find csrc -name '*.cpp' -o -name '*.hpp')

# A stored run is named after the commit.
BENCH_RESULT ?= benches/results/$(shell git describe --always --dirty 2>/dev/null || echo here).json

# Configure builds of their own: the one that pip made refers to an environment that is gone.
CONFIGURE = $(BIN)/cmake -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DSKBUILD_PROJECT_VERSION=0.0.0
CONFIGURE_KERNELS = $(CONFIGURE) -DPATCHTST_HAR_BINDINGS=OFF

.PHONY: demo test test-fast test-long install lint types tidy sanitize sanitize-threads profile arm64-check format bench bench-check bench-compare bench-history latency-table weights cuda-check wheel-check wheels docs windows-check fuzz fuzz-kernels guards coverage clean

demo: $(VENV)/.demo
	$(BIN)/patchtst-har demo --overwrite

# Workers and the processes that tests start share Python's compiled code, also where the environment asks for none: to compile tests and
# package in each of them takes longer than many tests.
test test-fast test-long: export PYTHONDONTWRITEBYTECODE :=

# JOBS is the number of processes that share the files with tests; ARGS goes to pytest: `make test ARGS='-k stream --lf'`.
JOBS ?= auto
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: install
	$(PYTEST) $(ARGS)

# A first answer in about a minute: some tests of every folder. It needs no training, compilers, pictures, processes of their own or
# browsers. It leaves out what is marked so, and as `slow` what takes a third of a second or more: `make test` and `make test-long` have them.
test-fast: install
	$(PYTEST) -m 'not (study or long or slow or trains or compiles or draws or spawns or browser)' $(ARGS)

# The tests that take five seconds or more each; some files are longer than the rest together, so workers share them.
test-long: install
	$(PYTEST) --dist worksteal -m long $(ARGS)

install: $(VENV)/.dev

PIP = $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL = $(PIP) install --progress-bar on --constraint constraints.txt

# The package alone, editable: Python sources are used as they lie here; only a change to the C++ sources, to how they are built or to
# the dependencies compiles again.
$(VENV)/.package: $(SOURCES)
	@echo '== $(VENV): the package, its C++ compiled (some minutes)'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --upgrade pip
	$(PIP_INSTALL) --build-constraint constraints.txt --no-deps --editable .
	touch $@

# What an extra needs (`make .venv/.live` adds one): the package is there, so nothing is compiled again. TORCH_INDEX, if it is set, is
# asked for torch alone, in the version of constraints.txt.
$(VENV)/.%: $(VENV)/.package
	@echo '== $(VENV): packages of the extra $* (some minutes; see README.md for the size)'
	$(if $(TORCH_INDEX),$(PIP_INSTALL) --no-deps --index-url $(TORCH_INDEX) torch)
	$(PIP_INSTALL) 'patchtst-har[$*]'
	touch $@

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(shell find csrc -name '*.cpp' -o -name '*.hpp')

types: install
	$(BIN)/mypy
	MYPYPATH=src $(BIN)/python -m mypy.stubtest patchtst_har._core --mypy-config-file tests/support/stubtest.ini

tidy: install
	$(CONFIGURE) -B build/tidy -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) > /dev/null
	$(BIN)/clang-tidy --quiet -p build/tidy $(shell find csrc -name '*.cpp')

# Which lines and branches the tests reach: those of Python by coverage.py, those of C++ by gcov, whose counters a build of its own has. The copy
# of the package, an environment that finds it first, and the pages lie in build/coverage. coverage.py does not see what numba compiled: the
# tests of such functions run once more, interpreted. A test that fails does not end it; a kernel's loop may well run 2^32 times, and a killed
# process may leave its counters damaged. Figures: docs/robustness.md. ARGS goes to pytest.
COVERED := $(abspath build/coverage)
COVERED_PYTEST = $(COVERED)/venv/bin/python -m coverage run --source=$(COVERED)/site/patchtst_har -m pytest
COMPILED_TESTS := smoothing evaluation/test_minirocket.py features/plugins/test_templates.py
coverage: export COVERAGE_FILE = $(COVERED)/python
coverage: export PYTHONDONTWRITEBYTECODE :=
coverage: $(VENV)/.coverage
	rm -rf $(COVERED)/site $(COVERED)/venv $(COVERED)/python* && mkdir -p $(COVERED)/site
	cp -r src/patchtst_har $(COVERED)/site
	rm -f $(COVERED)/site/patchtst_har/_core.*.so
	$(CONFIGURE) -B $(COVERED)/native -DCMAKE_CXX_FLAGS='--coverage -O1' -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	  -DSKBUILD_PROJECT_VERSION=$$($(BIN)/python -c 'from patchtst_har import __version__; print(__version__)') \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) > /dev/null
	$(BIN)/cmake --build $(COVERED)/native --target _core
	find $(COVERED)/native -name '*.gcda' -delete
	cp $(COVERED)/native/_core*.so $(COVERED)/site/patchtst_har
	$(BIN)/python -m venv --without-pip $(COVERED)/venv
	printf '%s\n' $(COVERED)/site $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  'import coverage; coverage.process_startup()' > $$(echo $(COVERED)/venv/lib/*/site-packages)/package.pth
	sed '1s|.*|#!$(COVERED)/venv/bin/python|' $(BIN)/patchtst-har > $(COVERED)/venv/bin/patchtst-har
	chmod +x $(COVERED)/venv/bin/patchtst-har
	-$(COVERED_PYTEST) -m 'not study' -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)
	-NUMBA_DISABLE_JIT=1 $(COVERED_PYTEST) -q -k 'not ten_thousand' $(addprefix tests/,$(COMPILED_TESTS))
	$(BIN)/python -m coverage combine --quiet $(COVERED)
	$(BIN)/python -m coverage html --quiet --directory $(COVERED)/pages
	$(BIN)/python -m gcovr --root . --filter csrc/ --exclude csrc/tests/ --exclude csrc/fuzz/ --merge-lines \
	  --gcov-ignore-errors all --gcov-suspicious-hits-threshold 0 \
	  --html-details $(COVERED)/csrc.html --print-summary --fail-under-line 90 $(COVERED)/native
	$(BIN)/python -m coverage report --skip-covered --fail-under 92

$(VENV)/.coverage: $(VENV)/.dev
	$(PIP_INSTALL) --group coverage
	touch $@

# Removes each guard against the faults of docs/faults.md in a copy, and checks that its tests fail then: some 25 minutes.
# `make guards ARGS='-k npz'` takes those whose fault, file or tests contain a text.
guards: install
	$(BIN)/python tests/support/guards.py $(ARGS)

# Under the address and undefined-behaviour sanitizers, and under that of threads: the kernels over sweeps of sizes and kinds of signals in
# every instruction set, then the tests of native code, with an extension that is built so and found before the installed one. Leaks are not
# looked for, since Python's own would be found; some tests ask for more memory than there is. Of threads, accesses by code that is not
# built so (Python, numpy, torch) are left out, since what locks them is not seen either. ARGS goes to pytest.
sanitize: SANITIZERS := address,undefined
sanitize: RUNTIME := libasan.so
sanitize-threads: SANITIZERS := thread
sanitize-threads: RUNTIME := libtsan.so
sanitize sanitize-threads: SANITIZED = build/sanitize/$(SANITIZERS)
BUILD_SANITIZED = $(CONFIGURE) -B $(SANITIZED) -DPATCHTST_HAR_BINDINGS=ON -DPATCHTST_HAR_SANITIZE=$(SANITIZERS) -DPython_EXECUTABLE=$(abspath $(BIN))/python \
  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) > /dev/null && $(BIN)/cmake --build $(SANITIZED) --target sweeps _core
SANITIZED_PYTEST = PYTHONPATH=tests/support/sanitized PATCHTST_HAR_CORE=$$(echo $(abspath $(SANITIZED))/_core.*.so) \
  LD_PRELOAD="$$($(CXX) -print-file-name=$(RUNTIME)) $$($(CXX) -print-file-name=libstdc++.so.6)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 TSAN_OPTIONS=ignore_noninstrumented_modules=1:die_after_fork=0 $(BIN)/python -m pytest -q -p no:cacheprovider
NATIVE_TESTS := test_core_arguments.py $(addprefix features/test_,isa.py movement.py statistics.py statistics_awkward.py statistics_batch.py \
  topology.py persistence.py persistence_threads.py) $(addprefix realtime/test_,window_buffer.py stream_smoothing.py stream.py) \
  $(addprefix inference/test_,native.py familiarity.py window_classifier.py) models/test_attention_kernels.py data/test_resample.py
sanitize: install
	$(BUILD_SANITIZED)
	for sweep in size cloud topology model stream thread; do $(SANITIZED)/$${sweep}_sweep || exit 1; done
	for target in $(FUZZERS); do $(SANITIZED)/$${target}_fuzz || exit 1; done
	$(SANITIZED_PYTEST) -m 'not (study or compiles or trains)' $(addprefix tests/,$(NATIVE_TESTS)) $(ARGS)

THREADED_TESTS := features/test_persistence_threads.py features/test_threads.py models/test_attention_kernels.py inference/test_native.py \
  inference/test_window_classifier.py inference/test_processes.py realtime/test_pool.py realtime/test_stream.py
sanitize-threads: install
	$(BUILD_SANITIZED)
	$(SANITIZED)/cloud_sweep threads
	$(SANITIZED)/topology_sweep
	$(SANITIZED)/thread_sweep
	$(SANITIZED_PYTEST) -m 'not (study or compiles or trains)' -k thread $(addprefix tests/,$(THREADED_TESTS)) $(ARGS)

# The kernels' entry points under libFuzzer and the same sanitizers (clang and its runtimes; Debian: clang), SECONDS each.
FUZZERS ?= window cloud stream model
fuzz-kernels: install
	@command -v clang++ > /dev/null || { echo "clang++ is missing; Debian and Ubuntu have it in clang and libclang-rt-dev" >&2; exit 1; }
	$(CONFIGURE_KERNELS) -B build/fuzz-kernels -DCMAKE_CXX_COMPILER=clang++ -DPATCHTST_HAR_SANITIZE=fuzzer,address,undefined > /dev/null
	$(BIN)/cmake --build build/fuzz-kernels --target fuzzers
	for name in $(FUZZERS); do \
	  mkdir -p build/fuzz-kernels/corpus/$$name && \
	  nice -n 10 build/fuzz-kernels/$${name}_fuzz -max_total_time=$(SECONDS) -max_len=4096 -len_control=0 -timeout=30 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz-kernels/$$name- build/fuzz-kernels/corpus/$$name || exit 1; \
	done

# Every reader under atheris, SECONDS each: `make fuzz SECONDS=600 ARGS='csv npz'`, `ARGS=--list`. What is found lies in build/fuzz.
SECONDS ?= 60
fuzz: $(VENV)/.fuzz
	nice -n 10 $(BIN)/python -m fuzz --seconds $(SECONDS) $(ARGS)

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP_INSTALL) --group fuzz
	touch $@

# Instructions of every stage of the statistics, of 1000 windows (needs valgrind, which knows no AVX-512).
ISA ?= avx2
KIND ?= walking
profile: install
	$(CONFIGURE_KERNELS) -B build/profile -DCMAKE_BUILD_TYPE=Release > /dev/null
	$(BIN)/cmake --build build/profile --target size_sweep
	valgrind --tool=callgrind --callgrind-out-file=build/profile/callgrind.out \
	  build/profile/size_sweep profile $(ISA) $(KIND)
	callgrind_annotate --inclusive=yes --threshold=100 build/profile/callgrind.out | grep -F 'statistics::(anonymous' \
	  | sed -E -e 's/\(anonymous namespace\)::|patchtst_har::statistics::|\?\?\?:(void )?//g' -e 's/([a-z_0-9>])\(.*/\1/'

# The kernels on another system, by an emulator (for correctness, not for timing): their sweeps, then their results compared with
# those of this machine. $(1): folder and toolchain; $(2): how value_sweep runs there.
define cross_check
	$(CONFIGURE_KERNELS) -B build/native -DCMAKE_BUILD_TYPE=Release > /dev/null
	$(CONFIGURE_KERNELS) --fresh -B build/$(1) -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_TOOLCHAIN_FILE=$(abspath cmake/$(1).cmake) > /dev/null
	$(BIN)/cmake --build build/native --target value_sweep
	$(BIN)/cmake --build build/$(1) --target sweeps
	build/native/value_sweep > build/native/values.txt
	$(BIN)/ctest --test-dir build/$(1) --output-on-failure
	$(2) > build/$(1)/values.txt
	$(BIN)/python tests/support/recorded_values.py build/native/values.txt build/$(1)/values.txt
endef
# $(call need,TOOLS,PACKAGES)
need = @for tool in $(1); do command -v $$tool > /dev/null || { echo "$$tool is missing; Debian and Ubuntu have it in $(2)" >&2; exit 1; }; done

arm64-check: install
	$(call need,aarch64-linux-gnu-g++ qemu-aarch64,g++-aarch64-linux-gnu and qemu-user)
	$(call cross_check,arm64,qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm64/value_sweep)

# Clang for Windows, with MinGW's C library, under Wine, which keeps its settings below build/.
WINE := $(shell command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || echo wine64)
windows-check: export WINEPREFIX = $(abspath build/wine)
windows-check: export WINEDEBUG = -all
windows-check: install
	$(call need,clang++ ld.lld x86_64-w64-mingw32-g++-posix $(WINE),clang lld g++-mingw-w64-x86-64 and wine64)
	$(call cross_check,windows,$(WINE) build/windows/value_sweep.exe)

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(shell find csrc -name '*.cpp' -o -name '*.hpp')

# ARGS goes to pytest: `make bench ARGS='-k stream'`, `ARGS=--long`.
bench: install
	mkdir -p $(dir $(BENCH_RESULT))
	$(BIN)/python -m pytest benches --benchmark-only --benchmark-json=$(BENCH_RESULT) $(ARGS)
	$(BIN)/python benches/history.py add $(BENCH_RESULT)

# One page of all runs of `make bench` on every machine: p50, p95 and p99 over commits, changes marked.
bench-history: install
	$(BIN)/python benches/history.py page

# Runs every benchmark once and checks its results; times are not judged.
bench-check: install
	$(BIN)/python -m pytest benches --benchmark-only --rounds-factor=0.01 -q

# BASE is a stored run or a git revision; ARGS goes to benches/compare.py: `ARGS='--fail -- -k stream'`.
bench-compare: install
	$(if $(BASE),,$(error BASE=... must name a stored run or a git revision))
	$(BIN)/python benches/compare.py $(BASE) $(ARGS)

# Measures every row of the table in docs/latency.md and writes it there: on an idle machine, some 8 minutes. The model is of the preset
# seed, trained on the demonstration's recordings; both are made if they are missing.
LATENCY := build/latency
LATENCY_RUN := latency
LATENCY_MODEL := runs/$(LATENCY_RUN)/model
RECORDING ?= runs/demo/data/recordings/P01.csv
latency-table: install
	test -d runs/demo/model || $(BIN)/patchtst-har demo
	test -d $(LATENCY_MODEL) || $(BIN)/patchtst-har train --preset seed --set experiment_name=$(LATENCY_RUN) \
	  --set data.proc_dir=runs/demo/data/processed --set smoothing.method=viterbi
	rm -rf $(LATENCY) && mkdir -p $(LATENCY)
	$(BIN)/patchtst-har benchmark $(LATENCY_MODEL) --recording $(RECORDING) --out $(LATENCY) > /dev/null
	timeout --signal=INT 150 $(BIN)/patchtst-har stream $(LATENCY_MODEL) --from $(RECORDING) --hop 1 --json > $(LATENCY)/live.jsonl || true
	$(BIN)/patchtst-har stream $(LATENCY_MODEL) --from $(RECORDING) --hop 1 --speed 200 --json > $(LATENCY)/replay.jsonl
	$(BIN)/python benches/study_small_targets.py $(LATENCY_MODEL) --recording $(RECORDING) --decisions 130 --speed 5 > $(LATENCY)/small.txt
	$(BIN)/python -m pytest benches/bench_end_to_end.py benches/bench_stream.py --benchmark-only -k "push or one_call or window_to_label and not torch and not prototype" --benchmark-json=$(LATENCY)/bench.json
	$(BIN)/python benches/latency_table.py $(LATENCY)

# Makes the shipped models as they were made, from recordings in DATA (studies/README.md): hours on two cores; what is there is not
# computed again. It is not part of the tests.
STUDIES := build/studies
WEIGHT_SETS := nine six
weights: install
	$(if $(DATA),,$(error DATA=... must name the folder of the recordings))
	mkdir -p $(STUDIES)
	for set in $(WEIGHT_SETS); do \
	  test -d $(STUDIES)/prepared/$$set || $(BIN)/python -m studies.prepare $(DATA) $(STUDIES)/prepared --set $$set || exit 1; \
	  $(BIN)/python -m studies.cross_validate $(STUDIES)/prepared $(STUDIES)/runs --set $$set --recipe base \
	    --seeds 0 1 2 --baselines || exit 1; \
	  $(BIN)/python -m studies.robustness $(STUDIES)/runs/$$set/base/seed-0 $(DATA) --out $(STUDIES)/runs/$$set/base-robustness || exit 1; \
	done
	$(BIN)/python -m studies.wrist_weights $(STUDIES)/prepared $(STUDIES)/runs $(STUDIES)/weights

# On a machine with CUDA: any Python with torch and Triton will do, so nothing is installed (docs/cuda.md).
# ARGS goes to the script: `ARGS='--out FOLDER'`, `ARGS=--interpreter`.
cuda-check:
	PYTHONPATH=src$${PYTHONPATH:+:$$PYTHONPATH} $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) benches/cuda_check.py $(ARGS)

# Builds a wheel, installs it in an environment of its own and uses it from another folder.
wheel-check: install
	rm -rf build/wheel-check && mkdir -p build/wheel-check
	$(BIN)/python -m pip wheel --quiet --no-deps --build-constraint constraints.txt --wheel-dir build/wheel-check .
	$(PYTHON) -m venv build/wheel-check/venv
	build/wheel-check/venv/bin/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	build/wheel-check/venv/bin/python -m pip install --quiet --constraint constraints.txt build/wheel-check/*.whl
	cd build/wheel-check && venv/bin/patchtst-har info && venv/bin/patchtst-har models \
	  && venv/bin/python -c 'from patchtst_har import data, synthetic; data.write_recording("day.csv", synthetic.recording())' \
	  && venv/bin/patchtst-har predict day.csv

# The source distribution, and from it the wheel of each Python, repaired for other Linux systems and tested where there is no compiler: in
# build/wheels. With pyenv: PYENV_VERSION=3.11.7:3.12.1 make wheels.
WHEEL_PYTHONS ?= $(foreach version,3.11 3.12 3.13 3.14,$(shell command -v python$(version)))
wheels: $(VENV)/.release
	for system in linux macos windows; do $(BIN)/cibuildwheel --print-build-identifiers --platform $$system > /dev/null || exit 1; done
	$(BIN)/python tests/support/wheels.py build/wheels $(WHEEL_PYTHONS)

$(VENV)/.release: $(VENV)/.dev
	$(PIP_INSTALL) --group release
	touch $@

# The site of the documentation, in build/docs: warnings are errors, links are checked, nothing is fetched from the network.
docs: $(VENV)/.docs
	rm -rf build/docs build/doctrees
	$(BIN)/python -m sphinx -W --keep-going --nitpicky -q -b html -c docs -d build/doctrees . build/docs
	$(BIN)/python docs/check_site.py build/docs
	@echo 'build/docs/index.html'

clean:
	rm -rf $(VENV) build dist
