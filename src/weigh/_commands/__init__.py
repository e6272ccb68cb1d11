"""The commands, one a file: each says its arguments, and calls what does the work."""
