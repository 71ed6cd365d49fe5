"""Wire drift: what a framework sends differently with other packages, in words, from traces alone.

Two sets of runs of one framework are compared, run by run: those of the same task, case and trial. In a run each
request is read against the one of the other run that it shares most words with, so that calls that are made at the same
time may come in any order. No drift: the order of keys, ids of tool calls, and uuids and times that a framework makes
up (see `evaluator/wire/canonical.py`); and the order in which the results of one turn's tool calls are told.

**Changes** are told apart by what changed and not by where: texts that belong to a case (its question, an agent's
instructions, documents, values in arguments and results) are left out of account, so that what a framework now says
around each question is one change, however many runs show it. One example of each is kept. Where the model asked for
other tools than before, what is sent afterwards follows from that: of such requests only tools and parameters are
compared.

**Tokens** are those of whole requests, counted with `evaluator/wire/tokens.py`, of the runs that ended alike: a run
that breaks off sends less, which is no saving. Injected tokens are those of `evaluator/analysis/parity`.
"""

from evaluator.analysis.drift.summary import Change, Drift, Example, Tokens, drift
from evaluator.analysis.drift.words import as_data, in_words, packages_in_words

__all__ = ["Change", "Drift", "Example", "Tokens", "as_data", "drift", "in_words", "packages_in_words"]
