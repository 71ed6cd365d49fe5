"""Approval: a person decides about a tool call before it is made."""
