"""The task `tool_calling`: one agent works in the back office of an online shop with nine tools."""
