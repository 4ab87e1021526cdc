"""Who may call the API: its own tokens, those of an identity provider, the path policy, and what browsers may send."""
