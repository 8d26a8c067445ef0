"""The instrument with the errors of making and aligning."""
