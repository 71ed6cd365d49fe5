"""Limits that a run has unless the user sets others."""

MAX_MODEL_CALLS = 10
