"""What dbt makes of its profile when the settings of a home are in the environment."""

from __future__ import annotations

from argparse import Namespace
from contextvars import copy_context

import pytest
from dbt.config.profile import Profile, read_profile
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context

from dagster_project.lib.settings import MEMORY_LIMIT, REPOSITORY
from dbt import flags


@pytest.mark.parametrize(("limit", "models_at_once"), [(MEMORY_LIMIT, 2), ("8GiB", 1), ("50%", 1)])
def test_a_bound_on_memory_is_for_one_model_at_a_time(
    limit: str, models_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags, "GLOBAL_FLAGS", Namespace(LOG_CACHE_EVENTS=False))

    def read() -> int:
        set_invocation_context({"MUSTER_MEMORY_LIMIT": limit})
        profile = Profile.from_raw_profiles(
            raw_profiles=read_profile(str(REPOSITORY / "dbt")),
            profile_name="musterhouse",
            renderer=ProfileRenderer({}),
            target_override="duckdb",
        )
        return profile.threads

    # In a context of its own, as dbt keeps its environment in one.
    assert copy_context().run(read) == models_at_once
