"""The kinds of optics, a file each, found by the names that the entry-point group `opticdesign.families` gives them."""
