"""A kind of optics and a floor, as another package adds them."""
