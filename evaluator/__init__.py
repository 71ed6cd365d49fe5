"""Measures the implementations: gateway, runner, metrics, scorecard, command line, pytest plugin."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the folder that holds `tasks/`, `implementations/` and `traces/`."""

WORK = ROOT / ".bakeoff"
"""What a checkout keeps for itself: the user's traces, the packages of releases, and the workers' logs."""
