"""How fast a loader is, where its time goes, and how many workers are enough.

`measure` times whole passes from outside, with nothing put into the loader. `profile` runs passes of its own with
clocks in them. `recommend` reads the measurements, and `compare` sets them against those of an earlier run.
"""

from datakit.bench.advice import Advice, recommend
from datakit.bench.compare import Change, Comparison, compare, read_run, write_run
from datakit.bench.loaders import Features, Make, default_workers, remade
from datakit.bench.results import Configuration, Fed, Machine, Measurement, Profile, Run, Stage
from datakit.bench.stages import profile
from datakit.bench.sweep import measure
from datakit.cores import usable_cores

__all__ = [
    "Advice",
    "Change",
    "Comparison",
    "Configuration",
    "Features",
    "Fed",
    "Machine",
    "Make",
    "Measurement",
    "Profile",
    "Run",
    "Stage",
    "compare",
    "default_workers",
    "measure",
    "profile",
    "read_run",
    "recommend",
    "remade",
    "usable_cores",
    "write_run",
]
