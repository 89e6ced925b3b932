"""Tests and throughput on a CUDA device; `python -m benchmarks.gpu` stores what it finds by the device's name."""
