"""The CUDA device and NVML, played by stand-ins where there is none."""

import sys
import time
from types import SimpleNamespace

import pytest

from patchtst_har.benchmark.profiling.device import Device
from patchtst_har.evaluation import ComprehensiveProfiler


class Cuda:
    """What the profiler uses of `torch.cuda`, with a device that counts."""

    def __init__(self, available=True, initialised=True):
        self.available, self.initialised = available, initialised
        self.level = self.highest = 0
        self.n_waits = 0
        self.failure = None

    def is_available(self):
        return self.available

    def is_initialized(self):
        return self.initialised

    def synchronize(self):
        assert self.initialised
        self.n_waits += 1
        if self.failure is not None:
            raise self.failure

    def current_device(self):
        assert self.initialised, "asking would start CUDA"
        return 0

    def get_device_properties(self, index):
        return SimpleNamespace(name="Stand-in 1", uuid="1234")

    def max_memory_allocated(self):
        return self.highest if self.initialised else 0

    def reset_peak_memory_stats(self):
        assert self.initialised
        self.highest = self.level

    def allocate(self, n_bytes):
        self.level += n_bytes
        self.highest = max(self.highest, self.level)


class NVMLError(Exception):
    pass


def nvml(percent=37, failure=None):
    def rates(handle):
        if failure is not None:
            raise failure
        return SimpleNamespace(gpu=percent)

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: {"GPU-1234": "handle"}[uuid],
        nvmlSystemGetDriverVersion=lambda: "999.1",
        nvmlDeviceGetUtilizationRates=rates,
    )


@pytest.fixture
def install(monkeypatch):
    def put(cuda, pynvml=None):
        monkeypatch.setitem(
            sys.modules, "torch", SimpleNamespace(cuda=cuda, __version__="0", get_num_threads=lambda: 1)
        )
        monkeypatch.setitem(sys.modules, "pynvml", pynvml)
        return cuda

    return put


def test_without_torch_nothing_is_imported_to_look(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert Device().status() == {"cuda": "torch is not imported", "nvml": "not looked for"}
    assert not Device().synchronise()
    assert "torch" not in sys.modules


def test_no_device_is_said_and_is_no_number(install):
    install(Cuda(available=False), nvml())
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("work"):
        pass
    profile = profiler.to_dict()
    assert profile["device"] == {"cuda": "no device", "nvml": "no device"}
    assert profile["operations"][0]["cuda_peak_bytes"] is None
    assert profile["operations"][0]["gpu_utilisation_percent"] is None
    assert list(profiler.table().columns[-1].cells) == ["no device"]


def test_peaks_of_nested_operations(install):
    cuda = install(Cuda(), nvml())
    cuda.allocate(1000)
    cuda.allocate(-1000)
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("outer"):
        cuda.allocate(300)
        cuda.allocate(-200)
        with profiler.profile_operation("inner"):
            cuda.allocate(50)
    assert cuda.n_waits == 4
    outer, inner = profiler.to_dict()["operations"]
    assert (outer["cuda_peak_bytes"], inner["cuda_peak_bytes"]) == (300, 150)


def test_cuda_that_starts_inside_an_operation_is_seen(install):
    cuda = install(Cuda(initialised=False), nvml())
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("work") as operation:
        assert profiler.to_dict()["device"]["cuda"] == "not in use"
        cuda.initialised = True
        cuda.allocate(70)
    assert operation.call.cuda_peak == 70
    assert profiler.to_dict()["device"] == {"cuda": "Stand-in 1", "nvml": "999.1"}


def test_utilisation_is_told_of_long_operations_only(install, monkeypatch):
    install(Cuda(), nvml(percent=64))
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("short") as short:
        pass
    real, began = time.perf_counter_ns, time.perf_counter_ns()
    with profiler.profile_operation("long") as long:
        monkeypatch.setattr(time, "perf_counter_ns", lambda: real() + 2_000_000_000)
    assert real() - began < 2_000_000_000
    assert short.call.utilisation_percent is None
    assert long.call.utilisation_percent == 64
    assert "long: GPU busy 64 % at most" in profiler.table().caption


def test_work_that_fails_on_the_device_fails_the_operation(install):
    cuda = install(Cuda(), nvml())
    profiler = ComprehensiveProfiler()
    with pytest.raises(RuntimeError, match="illegal address"), profiler.profile_operation("work"):
        cuda.failure = RuntimeError("illegal address")
    cuda.failure = None
    (row,) = profiler.to_dict()["operations"]
    assert (row["n_failed"], row["last_error"]) == (1, "RuntimeError")


def test_nvml_that_is_missing_or_fails_is_said(install):
    install(Cuda(), None)
    device = Device()
    device.synchronise()
    assert device.status()["nvml"] == "nvidia-ml-py is not installed (extra 'cuda')"
    assert device.utilisation_percent() is None

    install(Cuda(), nvml(failure=NVMLError("not permitted")))
    device = Device()
    device.synchronise()
    assert device.utilisation_percent() is None
    assert device.status()["nvml"] == "failed: not permitted"


def test_the_real_binding_has_the_names_that_are_used():
    pynvml = pytest.importorskip("pynvml")
    assert all(hasattr(pynvml, name) for name in vars(nvml()))
    assert issubclass(pynvml.NVMLError, Exception)
