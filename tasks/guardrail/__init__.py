"""Guardrails: rules of the user's own, on what comes in, what is called, and what goes out."""
