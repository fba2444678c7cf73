"""Feature plug-ins by name: registered in this process, shipped here, or found by entry point."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from patchtst_har.errors import FeatureError
from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)

if TYPE_CHECKING:
    from patchtst_har.features.plugins.kernels import Kernel

ENTRY_POINT_GROUP = "patchtst_har.features"

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BUILT_IN_NAMES = frozenset({*STATISTICAL_FEATURE_NAMES, *MOVEMENT_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES})
_PACKAGE = "patchtst_har.features.plugins"
_SHIPPED = {name: f"{_PACKAGE}.{name}" for name in ("hjorth", "jerk_rms", "sample_entropy")}
_registered: dict[str, Plugin] = {}
# Loading one plug-in may register others, so the lock is held again by the same thread.
_lock = RLock()


@dataclass(frozen=True)
class Plugin:
    """A registered feature function.

    Attributes
    ----------
    name : str
        What configurations call it.
    outputs : tuple of str
        Its columns.
    function : callable
        The plain function of (window, sr).
    """

    name: str
    outputs: tuple[str, ...]
    function: FunctionType

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that its values depend on: source, constants, helpers."""
        from patchtst_har.features.plugins.fingerprint import fingerprint

        return fingerprint(self.function, self.outputs)

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled form."""
        from patchtst_har.features.plugins.kernels import Kernel

        return Kernel(self.name, self.outputs, self.function, self.fingerprint)


def register_feature(name: str, outputs: Sequence[str]) -> Callable[[Function], Function]:
    """Register a per-window function as a feature, by decorating it.

    Parameters
    ----------
    name : str
        By which configurations select it: lower-case letters, digits and ``_``, at most 64.
    outputs : sequence of str
        Names of the values that the function returns, in order: the feature's columns.

    Returns
    -------
    callable
        The decorator. It returns the function unchanged.

    Raises
    ------
    FeatureError
        If a name is invalid or taken, the function is not a plain function of ``(window, sr)``, numba cannot
        compile it, or on the sample windows it raises, returns another number of values than `outputs`
        names, a value that is not finite in float32, or other values for the same window (random numbers).

    Notes
    -----
    The function gets ``window``, (n_samples, 3) float32 in g, read-only and repaired (values that are no
    measurement are interpolated), and ``sr``, float, in Hz. It returns a number, a tuple of numbers or a
    one-dimensional array. It is compiled by numba in nopython mode, without fastmath, with bounds checks.

    It is tried on three windows of 10 s at 100 Hz: movement, a sensor that lies still, and zeros. Constant
    windows occur in every recording, so a feature must be defined for them.

    The compiled code is cached where numba can cache it (in the ``__pycache__`` next to the function's file),
    under a key that also covers the constants and helper functions that the function refers to.

    Examples
    --------
    >>> import numpy as np
    >>> from patchtst_har.features import register_feature
    >>> @register_feature("crest", outputs=["crest_z"])
    ... def crest(window, sr):
    ...     z = np.abs(window[:, 2])
    ...     rms = np.sqrt(np.mean(z * z))
    ...     return z.max() / rms if rms > 0 else 0.0
    """
    columns = _checked_outputs(name, outputs)

    def decorate(function: Function) -> Function:
        plugin = Plugin(name, columns, _checked_function(name, function))
        with _lock:
            _refuse_taken(plugin)
            plugin.kernel.try_samples()
            _registered[name] = plugin
        return function

    return decorate


def unregister_feature(name: str) -> None:
    """Forget a feature that this process registered, for example to redefine it in a notebook.

    Parameters
    ----------
    name : str
        As it was registered.

    Raises
    ------
    FeatureError
        If no feature of that name is registered, or it comes with an installed package.
    """
    with _lock:
        if _declared_in(name) is not None:
            raise FeatureError(f"feature {name!r}: comes with an installed package, it cannot be removed")
        if name not in _registered:
            raise FeatureError(f"feature {name!r}: is not registered")
        del _registered[name]


def registered_features() -> tuple[str, ...]:
    """Return the names that a configuration may select, sorted; nothing is loaded for it."""
    return tuple(sorted({*_registered, *_SHIPPED, *(point.name for point in _entry_points())}))


def feature_origins() -> dict[str, str]:
    """Return where every selectable feature comes from, or why it cannot be loaded; loads entry points."""
    return {name: _origin(name) for name in registered_features()}


def _origin(name: str) -> str:
    if name in _SHIPPED:
        return "shipped with patchtst-har"
    points = _entry_points(name)
    if not points:
        return f"registered by {_registered[name].function.__module__}"
    try:
        _find(name)
    except FeatureError as error:
        return f"error: {error}"
    return f"package {_package_of(points[0])}"


def feature_outputs(plugins: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of the plug-ins that `plugins` names, in order.

    Raises
    ------
    FeatureError
        If there is no plug-in of a name, or its package cannot be imported.
    """
    return tuple(output for plugin in selected(plugins) for output in plugin.outputs)


def selected(names: Iterable[str]) -> tuple[Plugin, ...]:
    """Return plug-ins by name, loading those of installed packages.

    Raises
    ------
    FeatureError
        If a name is unknown or stands twice, its package cannot be loaded, or two have a column in common.
    """
    if isinstance(names, str):
        raise FeatureError(f"plugins must be a sequence of names, not the text {names!r}")
    names = tuple(names)
    plugins = tuple(_find(name) for name in names)
    owners: dict[str, str] = {}
    for plugin in plugins:
        if names.count(plugin.name) > 1:
            raise FeatureError(f"feature {plugin.name!r}: is selected more than once")
        for output in plugin.outputs:
            if owners.setdefault(output, plugin.name) != plugin.name:
                raise FeatureError(
                    f"features {owners[output]!r} and {plugin.name!r} both have an output {output!r}"
                )
    return plugins


def _find(name: Any) -> Plugin:
    with _lock:
        if name not in _registered:
            if name in _SHIPPED:
                import_module(_SHIPPED[name])
            else:
                _load_entry_point(name)
        return _registered[name]


def _load_entry_point(name: Any) -> None:
    points = _entry_points(name) if isinstance(name, str) else []
    if not points:
        known = ", ".join(registered_features())
        raise FeatureError(f"feature {name!r}: is not registered; known are {known}")
    if len(points) > 1:
        packages = " and ".join(_package_of(point) for point in points)
        raise FeatureError(f"feature {name!r}: is declared by more than one package: {packages}")
    (point,) = points
    where = f"entry point {point.name!r} = {point.value!r} of {_package_of(point)}"
    try:
        point.load()
    # Whatever a package does on import, its name has to be in the message; a script among them would exit.
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise FeatureError(f"feature {name!r}: {where} cannot be loaded ({reason})") from error
    if name not in _registered:
        raise FeatureError(f"feature {name!r}: {where} did not register a feature of that name")


def _entry_points(name: str | None = None) -> list[EntryPoint]:
    # The same distribution can be found twice on the path (an editable install and its metadata).
    points = entry_points(group=ENTRY_POINT_GROUP)
    unique = {(point.name, point.value): point for point in points if name in (None, point.name)}
    return list(unique.values())


def _package_of(point: EntryPoint) -> str:
    return "an unnamed package" if point.dist is None else str(point.dist.name)


def _declared_in(name: str) -> str | None:
    """Return the top-level package that a name belongs to, if an installed one declares it."""
    if name in _SHIPPED:
        return __name__.partition(".")[0]
    return next((point.module.partition(".")[0] for point in _entry_points(name)), None)


def _refuse_taken(plugin: Plugin) -> None:
    owner = _declared_in(plugin.name)
    if owner is not None and plugin.function.__module__.partition(".")[0] != owner:
        raise FeatureError(f"feature {plugin.name!r}: the name belongs to the package {owner}")
    if plugin.name in _registered:
        other = _registered[plugin.name].function
        raise FeatureError(
            f"feature {plugin.name!r}: is already registered ({other.__module__}.{other.__qualname__}); "
            "to redefine it, call unregister_feature first"
        )


def _checked_outputs(name: str, outputs: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FeatureError(f"feature {name!r}: a name needs the form {_NAME.pattern}")
    if isinstance(outputs, str) or not outputs:
        raise FeatureError(f"feature {name!r}: outputs must name at least one value, is {outputs!r}")
    columns = tuple(outputs)
    for output in columns:
        if not isinstance(output, str) or not _NAME.fullmatch(output):
            raise FeatureError(f"feature {name!r}: output {output!r} needs the form {_NAME.pattern}")
        if columns.count(output) > 1:
            raise FeatureError(f"feature {name!r}: output {output!r} stands more than once")
        if output in _BUILT_IN_NAMES:
            raise FeatureError(f"feature {name!r}: output {output!r} is the name of a built-in feature")
    return columns


def _checked_function(name: str, function: Any) -> FunctionType:
    if not isinstance(function, FunctionType):
        raise FeatureError(f"feature {name!r}: needs a plain function, not {type(function).__name__}")
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 2 or any(parameter.kind not in positional for parameter in parameters):
        raise FeatureError(
            f"feature {name!r}: needs a function of (window, sr), has {inspect.signature(function)}"
        )
    return function
