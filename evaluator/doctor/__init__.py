"""`bakeoff doctor`: whether this machine, or a model's server, has what runs need."""
