"""What stands in a request or a reply, read tolerantly."""
