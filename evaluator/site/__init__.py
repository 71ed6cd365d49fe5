"""The static site: overview, side by side, runs and method, computed from traces alone.

The same traces give the same bytes. What models and frameworks said is untrusted: templates escape everything, pages
take no script but the site's own files, and nothing is fetched from anywhere.
"""

import contextlib
import os

from evaluator.models.weights import cache_dir

with contextlib.suppress(OSError):  # of a home that cannot be written to: then it takes a temporary folder
    os.environ.setdefault("MPLCONFIGDIR", str(cache_dir() / "matplotlib"))  # its list of fonts, not in the home folder
