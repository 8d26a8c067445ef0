"""Training by stages, its losses, and how good images are."""
