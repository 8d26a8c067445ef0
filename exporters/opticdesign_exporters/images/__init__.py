"""Masks as grey and coloured pictures."""
