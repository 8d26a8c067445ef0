"""Speed and memory of the optics core beside other packages and beside the bare transforms: `python -m benchmarks`."""
