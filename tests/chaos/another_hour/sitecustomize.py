"""Puts the clock of this process off by ANOTHER_HOUR seconds, before anything has read it."""

import datetime
import os
import time

OFFSET = float(os.environ["ANOTHER_HOUR"])
real, real_ns = time.time, time.time_ns


class Shifted(datetime.datetime):
    """A datetime whose now is another one."""

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=OFFSET)


time.time = lambda: real() + OFFSET
time.time_ns = lambda: real_ns() + int(OFFSET * 1e9)
datetime.datetime = Shifted
