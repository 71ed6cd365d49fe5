"""Task `handoff`: a telecom support desk of a triage agent and three specialists."""
