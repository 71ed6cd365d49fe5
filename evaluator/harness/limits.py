"""Limits that a run has unless the user sets others."""

MAX_MODEL_CALLS = 10

MAX_SUITE_CALLS = 24
"""The same for a run of an outside suite: the longest of their gold runs takes 18 calls of tools, one after another."""
