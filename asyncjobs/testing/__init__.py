"""What helps to test: an app's jobs in memory, and the contract of storage adapters.

- `JobsKit`, by the fixture ``jobs_kit`` or by `in_memory`, for the tests of applications.
- `StorageContract` and `TransactionContract` for the authors of adapters,
  `QuietStorageContract` for those that do not notify.
"""

from asyncjobs.testing.clock import MovableClock
from asyncjobs.testing.contract import (
    QuietStorageContract,
    StorageContract,
    TransactionContract,
)
from asyncjobs.testing.kit import JobsKit, in_memory

__all__ = [
    "JobsKit",
    "MovableClock",
    "QuietStorageContract",
    "StorageContract",
    "TransactionContract",
    "in_memory",
]
