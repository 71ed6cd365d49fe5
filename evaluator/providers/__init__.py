"""What is known about servers and providers: addresses, quirks, prices. Nothing is called."""
