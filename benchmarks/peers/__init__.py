"""Adapters that give other packages the same work."""
