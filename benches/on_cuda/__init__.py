"""Parts of `benches/cuda_check.py`: what it checks and times on a CUDA device, its document and its page."""
