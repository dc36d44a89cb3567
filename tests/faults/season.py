"""Stub until written."""

import scenarios


def play(*a):
    return scenarios.Count(0, 0)
