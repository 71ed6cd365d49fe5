"""Resilience: the model's server refuses, is overloaded, or does not answer."""
