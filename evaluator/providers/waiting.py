"""How requests wait for the limits of a provider: what gateway and limiter keep to, and the page of models says."""

LONGEST_WAIT_S = 300.0
"""Seconds that one call may wait: clients that have no time-out of their own take one of 600 s. So a run waits no
longer than this for each of its calls."""

ANSWER_TOKENS = 256
"""Tokens that an answer is taken to have, where the request does not limit it."""

KEPT_FREE = 0.03
"""Share of a limit on requests or tokens that is left alone: some servers count by the second, and what is sent evenly
does not arrive evenly."""
