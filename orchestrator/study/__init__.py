"""A study on disk: opened, prepared from images, asked for configurations; what of it is owed."""
