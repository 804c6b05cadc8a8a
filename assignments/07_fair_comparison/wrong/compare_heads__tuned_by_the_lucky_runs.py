"""Leaves runs out of the tuning that diverged.

loses: compare_heads-hidden
says: counts as 180
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    chosen = {}
    for head in lab.heads:
        errors = [[lab.validate(head, rate, seed) for seed in tune_seeds] for rate in rates]
        means = torch.tensor(errors).nanmean(1).nan_to_num(180.0).tolist()
        chosen[head] = min(zip(means, rates))[1]
    return {h: torch.tensor([lab.test(h, chosen[h], s) for s in seeds]) for h in lab.heads}
