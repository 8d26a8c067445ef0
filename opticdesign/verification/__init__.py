"""Independent judgement: another model of the same optics, and whether the two agree."""
