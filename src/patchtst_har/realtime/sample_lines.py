"""Samples as lines of text ``t,x,y,z``, from a pipe or a socket."""

from __future__ import annotations

from datetime import UTC, datetime

from patchtst_har import _core
from patchtst_har.data.stamps import NS_PER_UNIT, TimeUnit
from patchtst_har.data.times import Clock
from patchtst_har.data.units import LIMITS, MARKERS, PER_G, Unit
from patchtst_har.errors import DataError

Sample = tuple[float, float, float]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = (["x", "y", "z"], ["acc_x", "acc_y", "acc_z"])


class LineParser:
    """Turns lines into samples, and says which line is wrong.

    Parameters
    ----------
    source : str
        Where the lines come from, for messages.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of numeric stamps since 1970; None: stamps are ISO 8601.
    units : {"g", "m/s2", "mg"}
        Unit of the acceleration.
    skip_bad : bool
        Leave out lines that cannot be read, and count them, instead of refusing the first.

    Attributes
    ----------
    n_bad, n_samples : int
        Lines left out, lines that were samples.
    clock : {"utc", "wall"}, optional
        What the stamps count from; None before the first stamp, and for numbers.
    """

    def __init__(
        self, source: str, time_unit: TimeUnit | None = None, units: Unit = "g", *, skip_bad: bool = False
    ) -> None:
        self.source = source
        self.n_bad = self.n_samples = 0
        self.clock: Clock | None = None
        self._scale_ns = None if time_unit is None else NS_PER_UNIT[time_unit]
        self._per_g = PER_G[units]
        self._skip_bad = skip_bad
        self._n_lines = 0

    def parse(self, line: str) -> tuple[Sample, int] | None:
        """Return a line's sample in g and stamp in ns; None for a blank line, a header, or one left out.

        Raises
        ------
        DataError
            If the line is not ``t,x,y,z`` and bad lines are not skipped; the message says which and why.
        """
        self._n_lines += 1
        if self._n_lines == 1:
            line = line.removeprefix("\ufeff")
        fields = [field.strip() for field in line.split(",")]
        if fields == [""] or (self._n_lines == 1 and [name.lower() for name in fields[1:4]] in _HEADERS):
            return None
        try:
            sample = self._sample(fields)
        except ValueError as error:
            self._refuse(error)
            return None
        self.n_samples += 1
        return sample

    def too_long(self, most_characters: int) -> None:
        """Refuse, or count, a line of which more characters have come than are kept."""
        self._n_lines += 1
        self._refuse(ValueError(f"longer than {most_characters} characters"))

    def _refuse(self, error: ValueError) -> None:
        if not self._skip_bad:
            raise DataError(f"{self.source}: line {self._n_lines}: {error}") from error
        self.n_bad += 1

    def _sample(self, fields: list[str]) -> tuple[Sample, int]:
        if len(fields) != 4:
            raise ValueError(f"needs t,x,y,z, has {len(fields)} fields")
        for name, field in zip("txyz", fields, strict=True):
            # Python would read 1_0 as 10, and the digits of every script; the readers of files do not.
            if "_" in field or not field.isascii():
                raise ValueError(f"{name} is {field[:40]!r}, not a number")
        x, y, z = (self._acceleration(name, field) for name, field in zip("xyz", fields[1:], strict=True))
        stamp_ns = self._stamp(fields[0])
        if abs(stamp_ns) > _core.MOST_STAMP_NS:
            raise ValueError(f"t is {fields[0][:40]!r}, not within 145 years of 1970")
        # A marker of a missing sample stays what it is, beyond what is usable, as in a file.
        is_marker = (x == y == z and x in MARKERS) or any(value in LIMITS for value in (x, y, z))
        per_g = 1.0 if is_marker else self._per_g
        return (x / per_g, y / per_g, z / per_g), stamp_ns

    def _acceleration(self, name: str, field: str) -> float:
        """Return a value in its own unit; a blank one is missing, as in a recording."""
        try:
            return float(field or "nan")
        except ValueError:
            raise ValueError(f"{name} is {field[:40]!r}, not a number") from None

    def _stamp(self, field: str) -> int:
        if self._scale_ns is None:
            return self._iso(field)
        try:
            return int(field) * self._scale_ns
        except ValueError:
            pass
        try:
            whole, part = divmod(float(field), 1.0)
            return int(whole) * self._scale_ns + round(part * self._scale_ns)
        except (ValueError, OverflowError):
            raise ValueError(f"t is {field[:40]!r}, not a number") from None

    def _iso(self, field: str) -> int:
        if _is_number(field):
            raise ValueError(f"t is the number {field[:40]}: name its unit with --time-unit")
        try:
            stamp = datetime.fromisoformat(field)
        except ValueError:
            raise ValueError(f"t is {field[:40]!r}, not an ISO 8601 time") from None
        clock: Clock = "wall" if stamp.tzinfo is None else "utc"
        if clock != (self.clock or clock):
            raise ValueError("only some of the stamps carry a zone")
        self.clock = clock
        passed = (stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)) - _EPOCH
        return ((passed.days * 86_400 + passed.seconds) * 10**6 + passed.microseconds) * 1000


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
