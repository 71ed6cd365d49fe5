"""`python -m evaluator` is `bakeoff`."""

from evaluator.cli import main

main()
