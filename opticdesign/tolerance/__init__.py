"""What becomes of a design when it is not built exactly as designed."""
