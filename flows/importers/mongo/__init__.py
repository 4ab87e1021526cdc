"""Moving over: what the original server kept in MongoDB, carried into this one's database."""
