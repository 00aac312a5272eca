"""What is wrong with a machine and an installation. It works where torch is missing or broken.

Nothing here imports torch, NumPy or anything else that may be broken: what may crash, hang or be missing is tried in
child processes with a time limit.
"""

from datakit.doctor.examine import GROUPS, Asked, Examination
from datakit.doctor.model import STATUSES, Check, Load, Report, Status

__all__ = ["GROUPS", "STATUSES", "Asked", "Check", "Examination", "Load", "Report", "Status"]
