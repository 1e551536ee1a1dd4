"""Who is best, and how sure that is. No torch."""
