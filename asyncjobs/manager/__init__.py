"""`JobManager`: adapters, queues, worker groups and jobs of one application.

`manager` is the class that users meet; `checks` refuses what cannot be when it is made,
`decorator` types what ``@jobs.job`` makes of a function, and `staff` runs the workers.
"""

from asyncjobs.manager.manager import JobManager

__all__ = ["JobManager"]
