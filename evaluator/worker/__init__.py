"""Runs implementations inside a framework's own environment. Needs the standard library and pydantic."""
