"""What `datakit check` looks for in a dataset, its transforms and its loader, before anybody trains on them."""

from datakit.check.findings import SEVERITIES, Finding, Offender, Part, Place, Report, Severity
from datakit.check.kinds import KINDS, About
from datakit.check.run import check

__all__ = ["KINDS", "SEVERITIES", "About", "Finding", "Offender", "Part", "Place", "Report", "Severity", "check"]
