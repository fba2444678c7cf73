from numpy import float32
from numpy.typing import NDArray

__version__: str

def statistical_features(windows: NDArray[float32], sr: float, out: NDArray[float32]) -> None: ...
def magnitude(window: NDArray[float32]) -> NDArray[float32]: ...
