"""What traces come to: graded runs, metrics, parity, comparisons. Computed from traces alone."""
