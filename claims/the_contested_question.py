"""The claim that the book is about, of chapter 18: it stands at the end of the ledger."""

from claims import claim
from claims.expected import above, below
from claims.results import ratios


@claim(
    "Train on nine raw numbers and apply SVD only at inference: it beats SVD in the loop.",
    source="{cite:t}`choy2026training`, {cite:t}`gu2023learning`; contested by "
    "{cite:t}`bregier2021deepregression`, {cite:t}`geist2024rotations` and most experiments of "
    "{cite:t}`levinson2020analysis`, as reported (a note of April in the repository of the second "
    "now points to the first two)",
    chapter="18_the_verdict",
    verdict="depends",
    note="Better at short budgets. From 2,000 steps on the lead melts on every task, and on the "
    "two that were trained longest the ranking turns between 8,000 and 32,000 steps. Wrong where "
    "there is no rotation label (chapter 16). With SVD's gains set to 1 the projection in the "
    "loop need not choose (chapter 14).",
    predicted="error ratio below {expected[at_8000]:g}",
    measured="after so many steps: Wahba {wahba:.2f at ,}; points {points:.2f at ,}; "
    "pictures {images:.2f at ,}; airplanes {airplanes:.2f at ,}",
    expected={
        "at_2000": below(0.7),
        "at_8000": below(1),
        "rise": above(0),
        "low_at_32000": above(1),
    },
)
def raw_training_wins():
    tasks = ("wahba", "points", "images", "airplanes")
    rows = {task: ratios(task, "9d-raw", "9d-svd") for task in tasks}
    found = {task: row.ratio.to_dict() for task, row in rows.items()}
    return {
        **found,
        "at_2000": [ratio[2000] for ratio in found.values()],
        "at_8000": [ratio[8000] for ratio in found.values()],
        "rise": [ratio[8000] - ratio[2000] for ratio in found.values()],
        "low_at_32000": [row.ratio_low[32000] for row in rows.values() if 32000 in row.index],
    }
