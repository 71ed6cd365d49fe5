"""What there is: the tasks and the frameworks, found by their folders."""
