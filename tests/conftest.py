"""For every test: what a library must not do to the process that tests it. Nothing else."""

import sys

from hypothesis import settings

# Great Expectations looks for it beside PySpark, where it ends a process that has no script, as a
# worker of pytest-xdist is one, when its own dependencies are missing.
sys.modules.setdefault("pyspark.sql.connect", None)  # type: ignore[arg-type]

# An example that takes long on a busy machine is no failure; how long things take is measured in
# tests/benchmarks.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
