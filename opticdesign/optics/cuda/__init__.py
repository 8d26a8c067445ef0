"""The cascade by fused kernels, and optics as CUDA graphs."""
