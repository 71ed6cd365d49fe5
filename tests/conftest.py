"""What holds for all tests."""

import os

from hypothesis import settings

# What tests print is as wide as it is without a terminal; pytest-xdist names a width of its own.
os.environ.pop("COLUMNS", None)

# No test is timed: a machine may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
