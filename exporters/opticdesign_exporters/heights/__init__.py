"""Height maps as numbers: arrays, images of floats, and text."""
