"""Layouts, GDSII and OASIS: writers, and readers that share no code with them."""
