"""Probes: what a framework does when the model, a tool or the user does something unusual."""
