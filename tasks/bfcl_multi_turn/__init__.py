"""BFCL, multi-turn: conversations of the Berkeley Function Calling Leaderboard, graded by its own checker."""
