"""The page on which people reject patches: loopback, with a token, every click stored."""
