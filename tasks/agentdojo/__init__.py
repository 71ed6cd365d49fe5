"""AgentDojo: user tasks in four offices with tools and state, and injections in what the tools give."""
