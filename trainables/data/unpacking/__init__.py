"""Archives and stacks of arrays: unpacked once into the cache, and read as a folder from there."""
