"""One HTML page of a study: sections, payload, style and script."""
