"""Console pages of flows, one module per page; `flows.admin` maps their URLs."""
