"""`bakeoff score --weights`: a ranking by the user's own weights."""
