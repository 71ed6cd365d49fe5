"""Parallel: one question goes to three agents at once, and a fourth joins what they say."""
