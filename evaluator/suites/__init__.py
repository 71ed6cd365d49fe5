"""Runs that are not the plain matrix: probes and replays."""
