"""Structured output: the answer is a typed value."""
