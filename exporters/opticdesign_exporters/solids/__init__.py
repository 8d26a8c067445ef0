"""Masks as closed surfaces for prints."""
