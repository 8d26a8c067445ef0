"""Studies: grids of designs and seeds, trained, scored and put into one table."""
