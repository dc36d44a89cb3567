"""What `dagster` and `dg` load: the definitions of the home that the environment names.

Only the call; what is defined is in `dagster_project.defs`.
"""

from dagster_project.assembly import build_defs
from dagster_project.lib.settings import Settings, keep_private

keep_private()
defs = build_defs(Settings.from_environment())
