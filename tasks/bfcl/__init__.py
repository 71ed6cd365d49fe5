"""BFCL: the single-turn questions of the Berkeley Function Calling Leaderboard, graded by its own checker."""
