"""What each framework puts on the wire beside the spec and the baseline."""
