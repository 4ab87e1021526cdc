"""Checks of a parsed flow: dependencies, undefined names, shell injection, and the registered packs."""
