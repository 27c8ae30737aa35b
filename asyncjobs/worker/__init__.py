"""A worker: one process's share of a worker group.

How a job passes through, and which file has it:

1. `claimer` takes rows from storage when there is room, as many as will start soon.
2. `executor` runs each in an asyncio task of its own, up to `concurrency` at once; what is
   claimed ahead waits in its buffer.
   `performer` carries one out, as a coroutine, in a thread, or in one of `processes`.
3. `outcome` decides what the end of an attempt means; `reporter` says so to the log and to
   `finisher`, which records it, in batches, and does not give up while storage is away.

Beside them, for as long as the worker lives: `lease` sends heartbeats from a thread of its
own, `promoter` makes future jobs available when they are due, `admitter` lets limited jobs
in, `pauses` knows what is paused, `rescuer` frees the jobs of workers that fell silent,
`reconciler` those of its own claims whose answer was lost, and a listener tells the claimer
when to look. `worker` ties them together; the nesting there is the order of shutdown, inside
out.
"""

from asyncjobs.worker.worker import Worker

__all__ = ["Worker"]
