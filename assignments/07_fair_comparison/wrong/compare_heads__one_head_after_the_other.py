"""Tests the first head before the second is tuned.

loses: compare_heads-visible, compare_heads-hidden
says: before all rates were chosen
"""

def compare_heads(lab, rates, tune_seeds, seeds):
    found = {}
    for head in lab.heads:
        errors = [[lab.validate(head, rate, seed) for seed in tune_seeds] for rate in rates]
        means = torch.tensor(errors).nan_to_num(180.0).mean(1).tolist()
        rate = min(zip(means, rates))[1]
        found[head] = torch.tensor([lab.test(head, rate, seed) for seed in seeds])
    return found
