"""``python -m claims [ID ...] [--write]``: measure, print, and write the ledger."""

import argparse
import json
import sys
import time

from claims import LEDGER, Claim, all_claims


def report(claim: Claim) -> dict[str, str] | None:
    """Measure a claim and print its numbers; its row, unless a number is not as expected."""
    start = time.perf_counter()
    numbers = claim.numbers()
    complaints = claim.unmet(numbers)
    verdict = "NOT AS EXPECTED" if complaints else claim.verdict
    print(f"{claim.id}: {verdict}, {time.perf_counter() - start:.1f} s")
    for name, value in numbers.items():
        print(f"    {name} = {value}")
    for name, wanted in claim.expected.items():
        print(f"    expected: {name} {wanted!s}")
    for complaint in complaints:
        print(f"    {complaint}")
    return None if complaints else claim.row(numbers)


def main(arguments: list[str] | None = None) -> int:
    claims = all_claims()
    parser = argparse.ArgumentParser(prog="python -m claims", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help="these claims only")
    parser.add_argument("--write", action="store_true", help=f"write {LEDGER.name}; needs them all")
    options = parser.parse_args(arguments)
    if unknown := set(options.ids) - set(claims):
        parser.error(f"no claim {', '.join(sorted(unknown))}; there are {', '.join(claims)}")
    if options.write and options.ids:
        parser.error("--write writes the whole ledger: name no claim")
    rows = [report(claims[name]) for name in options.ids or claims]
    if None in rows:
        return 1
    if options.write:
        text = json.dumps(rows, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        LEDGER.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
