"""How fast asyncjobs is, measured beside its peers on one server: ``python -m benchmarks``."""
