"""Adapters: small trained modules that are put into a network whose own parameters stay frozen, one file each."""
