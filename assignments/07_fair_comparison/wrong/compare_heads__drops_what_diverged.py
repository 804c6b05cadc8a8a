"""Leaves diverged runs out of the result.

loses: compare_heads-hidden
says: must stay in the result
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    chosen = {}
    for head in lab.heads:
        errors = [[lab.validate(head, rate, seed) for seed in tune_seeds] for rate in rates]
        means = torch.tensor(errors).nan_to_num(180.0).mean(1).tolist()
        chosen[head] = min(zip(means, rates))[1]
    found = {h: torch.tensor([lab.test(h, chosen[h], s) for s in seeds]) for h in lab.heads}
    return {h: e[~e.isnan()] for h, e in found.items()}
