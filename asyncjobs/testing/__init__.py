"""What helps to test: the contract that every storage adapter passes."""

from asyncjobs.testing.contract import StorageContract

__all__ = ["StorageContract"]
