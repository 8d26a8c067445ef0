"""The steps a user takes, each on one run folder: optimise, evaluate, export, verify."""
