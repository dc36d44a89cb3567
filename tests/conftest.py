"""For every test: what a library must not do to the process that tests it. Nothing else."""

import sys

# Great Expectations looks for it beside PySpark, where it ends a process that has no script, as a
# worker of pytest-xdist is one, when its own dependencies are missing.
sys.modules.setdefault("pyspark.sql.connect", None)  # type: ignore[arg-type]
