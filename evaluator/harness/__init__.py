"""Makes runs: gateway, workers, environments, and what is recorded already."""
