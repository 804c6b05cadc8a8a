"""What a measured number is compared with: an interval, and the number that stands for it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """The open interval from ``low`` to ``high``, or the one number ``low == high``.

    Formatted, it is ``stated``: the prediction, or the one bound. An interval with two bounds has
    none; ``low`` and ``high`` can be stated of any.
    """

    low: float
    high: float
    stated: float | None
    words: str

    def holds(self, found) -> bool:
        """Whether a number lies inside; of a list or dictionary, whether all do, and one is there.

        NaN never does.
        """
        if isinstance(found, Mapping):
            found = list(found.values())
        if isinstance(found, list | tuple):
            return bool(found) and all(self.holds(entry) for entry in found)
        return self.low < found < self.high or found == self.low == self.high

    def __format__(self, spec: str) -> str:
        return format(self.stated, spec)

    def __str__(self) -> str:
        return self.words


def exactly(value: float) -> Expected:
    return Expected(value, value, value, f"exactly {value}")


def about(value: float, within: float) -> Expected:
    return Expected(value - within, value + within, value, f"{value:g} within {within:g}")


def below(bound: float) -> Expected:
    return Expected(-math.inf, bound, bound, f"below {bound:g}")


def above(bound: float) -> Expected:
    return Expected(bound, math.inf, bound, f"above {bound:g}")


def between(low: float, high: float) -> Expected:
    return Expected(low, high, None, f"between {low:g} and {high:g}")
