"""Tunes the new head only.

loses: compare_heads-visible, compare_heads-hidden
says: the baseline as well
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    chosen = {lab.heads[0]: 1e-3}
    for head in lab.heads[1:]:
        errors = [[lab.validate(head, rate, seed) for seed in tune_seeds] for rate in rates]
        means = torch.tensor(errors).nan_to_num(180.0).mean(1).tolist()
        chosen[head] = min(zip(means, rates))[1]
    return {h: torch.tensor([lab.test(h, chosen[h], s) for s in seeds]) for h in lab.heads}
