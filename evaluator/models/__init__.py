"""What answers behind the gateway, and how it is brought up."""
