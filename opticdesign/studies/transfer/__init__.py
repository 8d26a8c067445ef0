"""The study of transfer: networks trained for one value of a key of the optics, judged on the data of all."""
