"""Well separated singular values, where the series is good.

loses: example-visible, example-hidden
says: less than 0.6
"""

def example(terms):
    G = torch.tensor([[0.0, -1, 2], [1, 0, -1], [-2, 1, 0]])
    return torch.diag(torch.tensor([4.0, 2.0, 1.0])), G / G.norm()
