"""The study of quantisation: the same masks with several numbers of levels."""
