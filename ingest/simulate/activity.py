"""When a device or firewall was last active as of a day: a closed form, without history.

Lives only; what a device is, whose it is and how it is written belong to the fleets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.simulate.hashing import Flags, Ints, Words, below, mix

ENDPOINT, SERVER, MOBILE, FIREWALL = range(4)

# Chance in 512 of being active on Monday … Sunday, per kind.
_CHANCE = np.array(
    [
        [470, 475, 475, 470, 455, 30, 20],
        [510, 510, 510, 510, 510, 508, 508],
        [170, 160, 160, 170, 190, 90, 80],
        [509, 509, 509, 509, 509, 509, 509],
    ],
    dtype=np.uint64,
)
# A week in which the device's own weekday is certain comes at least this often, per kind. It
# bounds the look-back: a mobile may be silent for three weeks, the others for one.
_SURE_EVERY = np.array([1, 1, 3, 1], dtype=np.int64)
_WEEKS_BACK = 5
# First second of the day and width of the span in which a kind is last seen.
_FIRST_SECOND = np.array([6 * 3600, 84_600, 3600, 82_800], dtype=np.int64)
_SPAN = np.array([13 * 3600, 1_700, 82_000, 3_500], dtype=np.uint64)

_WEEK_STEP = np.uint64(0xD1342543DE82EF95)
_DAY_STEP = np.uint64(0x2545F4914F6CDD1D)


@dataclass(frozen=True)
class Lives:
    """The lives of n entities, all arrays of length n, days counted from 1970-01-01.

    Active on `joined`; never after `left`; never in [idle_from, idle_to), and certainly on the
    day before and the day after it; certainly on `sure` too when that lies in its life.
    """

    words: Words
    kind: Ints
    joined: Ints
    left: Ints
    idle_from: Ints
    idle_to: Ints
    sure: Ints

    def take(self, chosen: Ints | Flags) -> Lives:
        return Lives(
            self.words[chosen],
            self.kind[chosen],
            self.joined[chosen],
            self.left[chosen],
            self.idle_from[chosen],
            self.idle_to[chosen],
            self.sure[chosen],
        )


def _last_in_week(lives: Lives, week: Ints, until: Ints) -> Ints:
    """Weekday (0 = Monday) of the latest active day of a week up to weekday `until`, or -1."""
    words = mix(lives.words + week.astype(np.uint64) * _WEEK_STEP)
    weekday = below(lives.words >> np.uint64(7), 5)
    phase = below(lives.words >> np.uint64(17), 3)
    certain = (week + phase) % _SURE_EVERY[lives.kind] == 0
    best = np.full(week.shape, -1, dtype=np.int64)
    chance = _CHANCE[lives.kind]
    for day in range(7):
        drawn = ((words >> np.uint64(9 * day)) & np.uint64(511)) < chance[:, day]
        active = (drawn | (certain & (weekday == day))) & (until >= day)
        best[active] = day
    return best


def last_active_day(lives: Lives, day: Ints) -> Ints:
    """Latest active day not after `day`, which must not be before `joined`.

    Monotone in `day`. Never needs a look-back of more than five weeks, because a life's fixed
    days stand in where the weekly pattern would reach behind them.
    """
    as_of = np.minimum(day, lives.left)
    idle = (as_of >= lives.idle_from) & (as_of < lives.idle_to)
    as_of = np.where(idle, lives.idle_from - 1, as_of)
    floor = np.where(as_of >= lives.idle_to, lives.idle_to, lives.joined)
    floor = np.where((lives.sure <= as_of) & (lives.sure > floor), lives.sure, floor)
    found = np.where(as_of == lives.idle_from - 1, as_of, floor)
    open_ = np.flatnonzero(as_of != lives.idle_from - 1)
    since_monday = (as_of + 3) % 7  # 1970-01-01 was a Thursday
    monday = as_of - since_monday
    for back in range(_WEEKS_BACK):
        if not open_.size:
            break
        week = (monday[open_] + 3) // 7 - back
        until = since_monday[open_] if back == 0 else np.full(open_.size, 6, dtype=np.int64)
        weekday = _last_in_week(lives.take(open_), week, until)
        hit = weekday >= 0
        seen = monday[open_] - 7 * back + weekday
        found[open_[hit]] = np.maximum(seen[hit], floor[open_[hit]])
        open_ = open_[~hit]
    return found


def microseconds(lives: Lives, day: Ints) -> Ints:
    """UTC time on an active day, in microseconds since 1970, always inside that day."""
    words = mix(lives.words + day.astype(np.uint64) * _DAY_STEP)
    second = (words % _SPAN[lives.kind]).astype(np.int64) + _FIRST_SECOND[lives.kind]
    return (day * 86_400 + second) * 1_000_000
