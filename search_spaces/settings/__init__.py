"""Settings, each declared once beside the frozen part that it belongs to."""
