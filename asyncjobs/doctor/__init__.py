"""What is wrong, and what to do: ``asyncjobs doctor``.

A check is one small function: it looks at an `Examination` and yields findings. `doctor` runs
them in their order, and makes a finding of what could not be looked at. The statements are
those of ``sql/queries``; most that are the doctor's own begin with ``examine_``.
"""

from asyncjobs.doctor.doctor import diagnose
from asyncjobs.doctor.finding import Finding, worst

__all__ = ["Finding", "diagnose", "worst"]
