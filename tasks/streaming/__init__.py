"""Streaming: the answer comes in pieces, as the model gives them, and can be stopped."""
