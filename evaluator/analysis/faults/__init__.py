"""What a framework made of the faults that were put into its runs, from their traces alone."""
