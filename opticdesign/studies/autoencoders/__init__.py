"""The study of autoencoders on digits."""
