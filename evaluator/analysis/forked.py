"""Imported by the process that reading processes are forked from: what each of them needs, so that they share it."""

import gc

from evaluator.analysis import gather
from evaluator.wire import tokens

__all__ = ["gather"]

tokens.count_tokens("the encoding is loaded")
gc.freeze()  # the collector writes into objects, and what is written into is no longer shared
