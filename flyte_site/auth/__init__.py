"""Authentication and authorization of the API: own tokens, an identity provider, path policy and browser checks."""
