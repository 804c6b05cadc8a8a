"""Reports the best seed only.

loses: compare_heads-visible, compare_heads-hidden
says: none left out
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    chosen = {}
    for head in lab.heads:
        errors = [[lab.validate(head, rate, seed) for seed in tune_seeds] for rate in rates]
        means = torch.tensor(errors).nan_to_num(180.0).mean(1).tolist()
        chosen[head] = min(zip(means, rates))[1]
    return {h: torch.tensor([min(lab.test(h, chosen[h], s) for s in seeds)]) for h in lab.heads}
