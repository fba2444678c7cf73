from collections.abc import Sequence
from typing import Any

from numpy import float32, floating
from numpy.typing import NDArray

__version__: str

def statistical_features(windows: NDArray[float32], sr: float, out: NDArray[float32]) -> None: ...
def window_statistics(window: NDArray[float32], sr: float) -> NDArray[float32]: ...
def topological_features(
    windows: NDArray[float32], factor: int, dimension: int, delay: int, out: NDArray[float32]
) -> tuple[float, float, float, float, float]: ...
def simplified_topological_features(windows: NDArray[float32], out: NDArray[float32]) -> None: ...
def magnitude(window: NDArray[float32]) -> NDArray[float32]: ...
def available_isas() -> list[str]: ...
def active_isa() -> str: ...
def select_isa(name: str) -> None: ...
def cpu_features() -> dict[str, bool]: ...
def n_plans_made() -> int: ...

MOST_POINTS: int

class MemoryBoundError(MemoryError): ...

def rips_persistence(
    points: NDArray[floating[Any]], max_edge: float
) -> tuple[NDArray[float32], NDArray[float32]]: ...
def rips_persistence_of_distances(
    distances: NDArray[float32], max_edge: float
) -> tuple[NDArray[float32], NDArray[float32]]: ...
def attention_forward(
    shape: tuple[int, int, int, int],
    qkv_cos_sin: tuple[int, int, int],
    seed: int,
    threshold: int,
    out: int,
    lse: int,
    n_threads: int,
) -> None: ...
def attention_backward(
    shape: tuple[int, int, int, int],
    qkv_cos_sin: tuple[int, int, int],
    seed: int,
    threshold: int,
    grad_out_lse: tuple[int, int, int],
    grad_qkv: int,
    n_threads: int,
) -> None: ...
def attention_dropout_factors(n_heads: int, n_tokens: int, seed: int, threshold: int) -> NDArray[float32]: ...
def drop_values(values: int, n: int, seed: int, threshold: int, result: int, n_threads: int) -> None: ...
def softmax(rows: NDArray[float32]) -> None: ...
def exponential(values: NDArray[float32]) -> NDArray[float32]: ...
def error_function(values: NDArray[float32]) -> NDArray[float32]: ...

class Engine:
    def __init__(self, input_shapes: Sequence[Sequence[int]], n_block_windows: int) -> None: ...
    def add_buffer(self, n_floats: int) -> int: ...
    def add_linear(
        self,
        weights: NDArray[float32],
        bias: NDArray[float32],
        source: Sequence[int],
        target: Sequence[int],
        rows: Sequence[int],
        segments: Sequence[int],
        activation: str,
        adds: bool,
    ) -> None: ...
    def add_standardise(
        self,
        mean: NDArray[float32],
        inverse_std: NDArray[float32],
        limit: float,
        source: Sequence[int],
        target: Sequence[int],
    ) -> None: ...
    def add_constant(self, values: NDArray[float32], target: Sequence[int]) -> None: ...
    def add_normalise(
        self,
        gain: NDArray[float32],
        bias: NDArray[float32],
        epsilon: float,
        n_rows: int,
        source: Sequence[int],
        target: Sequence[int],
    ) -> None: ...
    def add_attention(
        self,
        cos: NDArray[float32],
        sin: NDArray[float32],
        n_heads: int,
        qkv: Sequence[int],
        target: Sequence[int],
    ) -> None: ...
    def add_pool(
        self,
        query: NDArray[float32],
        weighted: bool,
        n_rows: int,
        source: Sequence[int],
        target: Sequence[int],
    ) -> None: ...
    def run(
        self,
        patches: NDArray[float32],
        times: NDArray[float32],
        stats: NDArray[float32],
        topo: NDArray[float32],
        out: NDArray[float32],
    ) -> None: ...
    def set_outputs(self, buffer: int, n_outputs: int) -> None: ...
    @property
    def n_workspaces_made(self) -> int: ...
