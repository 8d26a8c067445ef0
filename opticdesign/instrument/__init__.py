"""The instrument that a design describes: optics, camera and decoder, built, checked and used."""
