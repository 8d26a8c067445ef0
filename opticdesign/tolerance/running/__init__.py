"""A tolerance study on a run folder: its plan, workers, results and files."""
