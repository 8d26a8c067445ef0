"""Frames for phase panels."""
