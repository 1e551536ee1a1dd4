"""The command line, a thin skin: options, and which room does the work."""
