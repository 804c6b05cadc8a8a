"""The texts of the ledger: measured numbers put into their places and rounded, here alone."""

import re
from collections.abc import Mapping
from string import Formatter

_PLACE = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_FORMULA = re.compile(r"\$[^$]*\$")
# Digits that are no index or exponent, as those of s_2 and float32 are; with the sign before them.
_DIGITS = re.compile(r"([<>] ?)?(?<![\w.,^])(\d+(?:[.,]\d+)*)")
# So that 1e-05 and 1e+06 become 1e-5 and 1e6.
_EXPONENT = re.compile(r"(?<=\d)e([+-])0*(\d+)$")


class _Prose(Formatter):
    """``str.format`` with lists and dictionaries of numbers.

    ``{ratio:.2f}`` is all values; ``{ratio:.2f at ,}`` is ``0.33 at 500, 0.55 at 2,000``.
    """

    def format_field(self, value, spec):
        if isinstance(value, list | tuple):
            return ", ".join(self.format_field(entry, spec) for entry in value)
        if isinstance(value, Mapping):
            number, _, tail = spec.partition(" ")
            word, _, key_spec = tail.rpartition(" ")
            ends = [f" {word} {key:{key_spec}}" if word else "" for key in value]
            numbers = [self.format_field(entry, number) for entry in value.values()]
            return ", ".join(map("".join, zip(numbers, ends, strict=True)))
        text = super().format_field(value, spec)
        return _EXPONENT.sub(lambda found: f"e{found[1].strip('+')}{found[2]}", text)


_PROSE = _Prose()


def fill(text: str, numbers: Mapping, expected: Mapping) -> str:
    """The text with its numbers in place: ``{name:spec}`` and ``{expected[name]:spec}``."""
    return _PROSE.vformat(text, (), {**numbers, "expected": expected})


def lookup(name: str, numbers: Mapping):
    """The number that a text would call ``{name}``."""
    return _PROSE.get_field(name, (), numbers)[0]


def typed_digit(text: str, *, formulas: bool) -> str:
    """The first number that stands in the text itself; ``""`` if all come from a measurement.

    A condition on a sign, ``< 0``, states none. With ``formulas``, mathematics between dollars may
    hold any.
    """
    text = _FORMULA.sub("", text) if formulas else text
    for sign, number in _DIGITS.findall(_PLACE.sub("", text)):
        if not (sign and number == "0"):
            return number
    return ""
