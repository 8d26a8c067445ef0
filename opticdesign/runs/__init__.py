"""One step each, on a run folder: optimise, evaluate, score, export, import, check design rules."""
