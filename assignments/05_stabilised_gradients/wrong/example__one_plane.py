"""Asks for one plane, so only the length is wrong.

loses: example-hidden
says: degrees only
"""

def example(terms):
    G = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]])
    return torch.diag(torch.tensor([1.1, 1.0, 0.9])), G / G.norm()
