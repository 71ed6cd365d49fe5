"""Memory: what was said in an earlier conversation, to the same user alone, and within a budget of tokens."""
