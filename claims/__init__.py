"""The claims of the book, measured: ``python -m claims`` prints, ``--write`` makes the ledger.

How to add a claim:

1. In the file of its part (``PARTS``) write a function that measures it and returns named numbers:
   no text, no assert.
2. Decorate it with ``@claim(...)``: the claim in words, its source, the chapter that derives it,
   the verdict, and what each number is compared with (``exactly``, ``about``, ``below``, ``above``,
   ``between``). A number that leaves its interval takes the verdict with it.
3. ``predicted`` and ``measured`` are the texts of the ledger, filled and rounded by
   ``claims/prose.py``: ``{gap:.1f}`` is a measured number, ``{expected[gap]:g}`` what it is
   compared with. Digits are not typed there, but in formulas of ``predicted``.
4. ``slow=True`` if it takes more than five seconds: the fast tests then leave it out.
5. ``python -m claims its-id`` measures it; ``make claims`` writes ``book/claims.json``, from which
   the page is built and which ``tests/test_claims.py`` measures again.

A claim of a new chapter needs the notebook first; one with a new source, its entry in
``book/references.bib``.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claims.expected import Expected
from claims.prose import fill, lookup, typed_digit

ROOT = Path(__file__).resolve().parents[1]
LEDGER = ROOT / "book" / "claims.json"
#: In the order of the ledger; the contested question comes last.
PARTS = (
    "part_1_representations",
    "part_2_jacobians",
    "part_2_theory",
    "part_3_experiments",
    "part_4_beyond",
    "the_contested_question",
)
VERDICTS = ("holds", "fails", "depends", "open")

CHOY = "{cite:t}`choy2026training`, abstract"
REPORTED = "{cite:t}`levinson2020analysis`, as reported"
HERE = "this book"

Number = int | float
Numbers = Mapping[str, Number | Sequence[Number] | Mapping[object, Number]]


class ClaimError(ValueError):
    """A claim that is not fit for the ledger; the message says how one adds a claim."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"claim {name}: {reason}.\n\n{__doc__}")


class Unmet(AssertionError):
    """A measured number that is not what was expected: the verdict does not stand."""


@dataclass(frozen=True)
class Claim:
    """A row of the ledger: texts, a measurement, and what its numbers are compared with."""

    id: str
    measure: Callable[[], Numbers]
    claim: str = ""
    source: str = ""
    chapter: str = ""
    verdict: str = ""
    predicted: str = ""
    measured: str = ""
    expected: Mapping[str, Expected] = field(default_factory=dict)
    note: str = ""
    slow: bool = False

    def __post_init__(self):
        fields = ("claim", "source", "chapter", "verdict", "predicted", "measured", "expected")
        missing = [name for name in fields if not getattr(self, name)]
        if missing:
            raise ClaimError(self.id, f"it lacks {', '.join(missing)}")
        if not (ROOT / "chapters" / f"{self.chapter}.ipynb").exists():
            raise ClaimError(self.id, f"there is no chapter {self.chapter!r}")
        if self.verdict not in VERDICTS:
            raise ClaimError(self.id, f"verdict {self.verdict!r} is not one of {VERDICTS}")
        if "{" not in self.measured:
            raise ClaimError(self.id, f"no number is measured in {self.measured!r}")
        for name, formulas in (("predicted", True), ("measured", False)):
            if digit := typed_digit(getattr(self, name), formulas=formulas):
                raise ClaimError(self.id, f"{name} states {digit!r}, which was typed by hand")

    def numbers(self) -> Numbers:
        """Measure: plain numbers by name, or lists and dictionaries of them."""
        return {name: self._plain(name, value) for name, value in self.measure().items()}

    def _plain(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._plain(name, entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(name, entry) for entry in value]
        value = value.item() if hasattr(value, "item") else value
        if not isinstance(value, Number):
            raise ClaimError(self.id, f"{name} is no number but {value!r}")
        return value

    def unmet(self, numbers: Numbers) -> list[str]:
        """In words, each number that is not what was expected; NaN never is."""
        complaints = []
        for name, wanted in self.expected.items():
            try:
                found = lookup(name, numbers)
            except (LookupError, AttributeError):
                raise ClaimError(self.id, f"{name} is expected, but not measured") from None
            if not wanted.holds(found):
                complaints.append(f"{name} is {found}, expected {wanted!s}")
        return complaints

    def row(self, numbers: Numbers) -> dict[str, str]:
        """The row of the ledger that these numbers give.

        Raises:
            Unmet: if a number is not what was expected.
        """
        if complaints := self.unmet(numbers):
            raise Unmet(f"claim {self.id}, {self.verdict!r}: {'; '.join(complaints)}")
        try:
            texts = [fill(text, numbers, self.expected) for text in (self.predicted, self.measured)]
        except LookupError as error:
            raise ClaimError(self.id, f"{error} is stated, but not measured") from None
        return {
            "id": self.id,
            "claim": self.claim,
            "source": self.source,
            "chapter": self.chapter,
            "verdict": self.verdict,
            "note": self.note,
            "predicted": texts[0],
            "measured": texts[1],
            "check": f"test_claim[{self.id}]",
        }


_CLAIMS: dict[str, Claim] = {}


def claim(text: str, **fields) -> Callable:
    """Make the decorated measurement a claim; its id is the function's name, with hyphens."""

    def register(measure: Callable[[], Numbers]) -> Callable[[], Numbers]:
        name = measure.__name__.replace("_", "-")
        if name in _CLAIMS:
            raise ClaimError(name, "there is another of this name")
        _CLAIMS[name] = Claim(name, measure, text, **fields)
        return measure

    return register


def all_claims() -> dict[str, Claim]:
    """Every claim by its id, in the order of the ledger."""
    for part in PARTS:
        importlib.import_module(f"claims.{part}")
    return dict(_CLAIMS)
