"""Seeded faults: what a framework does when the model, the transport, a tool or the search goes wrong."""
