"""The space of a search: which fields of the configuration vary, and between what."""

from __future__ import annotations

import difflib
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError
from patchtst_har.support.settings import Section, refuse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Number = int | float

_OF_THE_SCORE = "it has no part in the score, which is of single windows as the network decides"
_NO_MODEL = "it does not change the model"
_REFUSED = {
    "experiment_name": "it names the run",
    "output_dir": "it names the run",
    "seed": "it is that of the configuration; --seeds trains each trial with several",
    "data": "trials must be judged on the same windows of the same people",
    "smoothing": _OF_THE_SCORE,
    "tracking": "trials leave no record of their own",
    "training.calibrate": _OF_THE_SCORE,
    "training.device": _NO_MODEL,
    "training.n_threads": _NO_MODEL,
    "features.n_threads": _NO_MODEL,
    "features.cache_dir": _NO_MODEL,
}
_MOST_DRAWN = 200


class Parameter(Section):
    """How one field varies."""

    type: Literal["float", "int", "categorical"]
    """`float` and `int`: from `low` to `high`; `categorical`: one of `choices`."""
    low: Number | None = None
    """Lowest value, which may be taken."""
    high: Number | None = None
    """Highest value, which may be taken."""
    log: bool = False
    """Draw the logarithm uniformly."""
    step: Number | None = None
    """Take `low`, `low + step`, ... only."""
    choices: tuple[Any, ...] = ()
    """The values, at least two."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        return refuse(self, self._of_choices() if self.type == "categorical" else self._of_range())

    def _of_choices(self) -> list[str]:
        problems = [
            f"{name} has no meaning with type: categorical"
            for name in ("low", "high", "step", "log")
            if getattr(self, name) not in (None, False)
        ]
        try:
            n_different = len(set(map(_stored, self.choices)))
        except TypeError as error:
            return [*problems, f"choices: {error}"]
        if n_different < len(self.choices) or n_different < 2:
            problems.append("choices: needs two different values or more, each once")
        return problems

    def _of_range(self) -> list[str]:
        problems = [f"choices has no meaning with type: {self.type}"] * bool(self.choices)
        given = {name: getattr(self, name) for name in ("low", "high", "step")}
        problems += [f"{name}: is missing" for name in ("low", "high") if given[name] is None]
        endless = [name for name, value in given.items() if value is not None and not math.isfinite(value)]
        if endless:
            return [*problems, *(f"{name}: needs a finite number" for name in endless)]
        if self.type == "int":
            problems += [
                f"{name}: needs a whole number, is {value}"
                for name, value in given.items()
                if value is not None and value != int(value)
            ]
        if self.low is None or self.high is None or problems:
            return problems
        if not self.low < self.high:
            problems.append(f"low ({self.low}) must be below high ({self.high})")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            problems.append(f"step ({self.step}) must be above 0 and at most high - low")
        if self.log and self.low <= 0:
            problems.append(f"low ({self.low}) must be above 0 with log")
        if self.log and self.step is not None:
            problems.append("step has no meaning with log")
        return problems

    @property
    def probes(self) -> list[Any]:
        """Values that the field must accept: the ends of the range and one between, or all choices."""
        if self.low is None or self.high is None:
            return list(self.choices)
        if self.type == "int":
            return [int(self.low), int(self.high)]
        return [float(self.low), float(self.high), self.low + 0.381966 * (self.high - self.low)]

    def distribution(self) -> BaseDistribution:
        """Return it as Optuna's."""
        from optuna import distributions

        if self.low is None or self.high is None:
            return distributions.CategoricalDistribution(list(map(_stored, self.choices)))
        if self.type == "int":
            step = int(self.step or 1)
            return distributions.IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return distributions.FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def value(self, stored: Any) -> Any:
        """Return the value of the field that stands in a study as `stored`."""
        if self.type != "categorical":
            return stored
        return next(choice for choice in self.choices if _stored(choice) == stored)

    def draw(self, rng: random.Random) -> Any:
        """Return a value at random."""
        if self.low is None or self.high is None:
            return rng.choice(self.choices)
        if self.step is not None or self.type == "int":
            step = self.step or 1
            return self.low + step * rng.randrange(int((self.high - self.low) / step) + 1)
        return rng.uniform(self.low, self.high)


def _stored(choice: Any) -> str:
    """Return a choice as it stands in a study: as JSON, where True, 1 and 1.0 differ, and lists can stand."""
    return json.dumps(choice, sort_keys=True)


@dataclass(frozen=True)
class Space:
    """The fields that vary.

    Attributes
    ----------
    parameters : dict of str to Parameter
        By the path of the field, such as ``training.lr``.
    """

    parameters: dict[str, Parameter]

    @classmethod
    def read(cls, values: Any, config: ExperimentConfig, source: str) -> Space:
        """Check what stands under ``search`` in a configuration file.

        Parameters
        ----------
        values : mapping of str to mapping
            Path of a field to the fields of `Parameter`.
        config : ExperimentConfig
            The configuration that is varied.
        source : str
            The file, for messages.

        Raises
        ------
        ConfigError
            If it is no such mapping or an empty one, a path names no field or one that must not vary, a range
            has values that the field does not take, or all combinations contradict themselves; all at once.
        """
        if not isinstance(values, Mapping) or not values:
            raise ConfigError(["search: needs a mapping of fields to ranges"], source)
        parameters, problems = {}, []
        for path, fields in values.items():
            try:
                parameters[path] = _parameter(path, fields)
            except ConfigError as error:
                problems += [f"search.{path}: {problem}" for problem in error.problems]
        if problems:
            raise ConfigError(problems, source)
        space = cls(parameters)
        space._check_combinations(config, source)
        return space

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the space as Optuna's."""
        return {path: parameter.distribution() for path, parameter in self.parameters.items()}

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the fields for the parameters of a trial."""
        return {path: self.parameters[path].value(value) for path, value in stored.items()}

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in a file."""
        return {
            path: parameter.model_dump(mode="json", exclude_unset=True)
            for path, parameter in self.parameters.items()
        }

    def _check_combinations(self, config: ExperimentConfig, source: str) -> None:
        """Refuse a space in which nothing that is drawn can be trained."""
        rng, problems = random.Random(0), list[str]()  # noqa: S311 - no secret
        for _ in range(_MOST_DRAWN):
            drawn = {path: parameter.draw(rng) for path, parameter in self.parameters.items()}
            try:
                with_values(config, drawn)
            except ConfigError as error:
                problems = problems or error.problems
            else:
                return
        raise ConfigError(["search: every combination contradicts itself", *problems], source)


def _parameter(path: str, fields: Any) -> Parameter:
    """Return a checked parameter; the problems of a `ConfigError` do not name the path."""
    field = _field(path)
    if not isinstance(fields, Mapping):
        raise ConfigError(["needs a mapping with type, and low and high or choices"])
    parameter = Parameter(**fields)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    problems = []
    for value in parameter.probes:
        try:
            adapter.validate_python(value)
        except ConfigError as error:
            problems += error.problems
        except ValidationError as error:
            problems.append(f"{error.errors()[0]['msg']} (got {value!r})")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return parameter


def _field(path: str) -> FieldInfo:
    """Return the configuration's field of a path."""
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        why = _REFUSED.get(".".join(parts[:length]))
        if why is not None:
            raise ConfigError([f"cannot be searched: {why}"])
    kind: Any = ExperimentConfig
    for name in parts:
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, Section) else {}
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise ConfigError(["no such field" + (f" (did you mean {near[0]}?)" if near else "")])
        field, kind = fields[name], fields[name].annotation
    if isinstance(kind, type) and issubclass(kind, Section):
        raise ConfigError(["is a section, a field of it is needed"])
    return field


def with_values(config: ExperimentConfig, values: Mapping[str, Any]) -> ExperimentConfig:
    """Return a configuration with other values in some fields, all set before anything is checked.

    Raises
    ------
    ConfigError
        If they contradict each other or the rest.
    """
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = _Leaf(value)
    changed: ExperimentConfig = _replaced(config, nested)
    return changed


@dataclass(frozen=True)
class _Leaf:
    value: Any


def _replaced(section: Any, changes: Mapping[str, Any], path: str = "") -> Any:
    values = {
        name: change.value
        if isinstance(change, _Leaf)
        else _replaced(getattr(section, name), change, f"{path}{name}.")
        for name, change in changes.items()
    }
    try:
        return section.replace(**values)
    except ConfigError as error:
        raise ConfigError([f"{path}{problem}" for problem in error.problems]) from None
