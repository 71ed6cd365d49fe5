"""Durable runs: the process is killed in the middle, and another one goes on."""
