"""What holds for all tests."""

import gc
import os

from hypothesis import settings

# What tests print is as wide as it is without a terminal; pytest-xdist names a width of its own.
os.environ.pop("COLUMNS", None)

# Thousands of tests stay from beginning to end, and the collector of cycles would look at them over and over.
gc.set_threshold(100_000, 50, 50)

# No test is timed: a machine may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
