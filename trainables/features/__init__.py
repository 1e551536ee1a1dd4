"""What the frozen part gives, computed once: stored squares, samples, features, and use of the cache."""
