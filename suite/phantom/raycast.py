"""Path lengths per material along every ray, exactly, for solids that may overlap.

Triangles are scan-converted into a list of surface crossings per ray (an A-buffer: counted first, so it never
overflows), each ray's crossings are sorted by depth, and a sweep along the ray books every stretch to the
solid of highest priority that is open there. The film is worked in bands of rows to bound the memory.

A pixel row cuts every edge at a column computed from that edge alone, so triangles that share an edge meet
without gap or overlap and a closed mesh is entered exactly as often as it is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]

DEPTH_UNITS = 1024.0 * 1024.0
"""Depth resolution in the sort key: 2^-20 mm."""

LABEL_THRESHOLD_MM = 0.02
"""A structure is on a ray when the ray runs at least this far through it."""


MAX_CHORD_RADII = 3.2
"""Longest chord through a capsule, in radii: real vessels wind, none runs along a ray for long."""


@njit(cache=True, inline="always")
def _crossing(xa: float, ya: float, xb: float, yb: float, row: float) -> float:  # pragma: no cover
    """Column where the edge from a (upper) to b crosses the row."""
    return xa + (row - ya) * (xb - xa) / (yb - ya)


@njit(cache=True, inline="always")
def _by_row(column: Array, row: Array, a: int, b: int, c: int) -> tuple[int, int, int]:  # pragma: no cover
    """A triangle's corners by row, then column: both triangles at a shared edge walk it the same way."""
    if row[b] < row[a] or (row[b] == row[a] and column[b] < column[a]):
        a, b = b, a
    if row[c] < row[b] or (row[c] == row[b] and column[c] < column[b]):
        b, c = c, b
    if row[b] < row[a] or (row[b] == row[a] and column[b] < column[a]):
        a, b = b, a
    return a, b, c


@njit(cache=True, inline="always")
def _span(
    column: Array, row: Array, a: int, b: int, c: int, r: int, width: int
) -> tuple[int, int]:  # pragma: no cover
    """First column, and the one behind the last, that the triangle with ordered corners covers in row r."""
    one = _crossing(column[a], row[a], column[c], row[c], r)
    if r < row[b]:
        two = _crossing(column[a], row[a], column[b], row[b], r)
    else:
        two = _crossing(column[b], row[b], column[c], row[c], r)
    if two < one:
        one, two = two, one
    return min(max(int(np.ceil(one)), 0), width), min(max(int(np.ceil(two)), 0), width)


@njit(cache=True)
def count_crossings(
    column: Array, row: Array, faces: Array, first_row: int, last_row: int, width: int, steps: Array
) -> None:  # pragma: no cover
    """Mark in ``steps`` (rows, width + 1) where each triangle's span begins (+1) and ends (-1)."""
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        a, b, c = _by_row(column, row, a, b, c)
        top = max(int(np.ceil(row[a])), first_row)
        bottom = min(int(np.ceil(row[c])), last_row)
        for r in range(top, bottom):
            left, right = _span(column, row, a, b, c, r, width)
            if right > left:
                steps[r - first_row, left] += 1
                steps[r - first_row, right] -= 1


@njit(cache=True)
def fill_crossings(
    column: Array,
    row: Array,
    depth: Array,
    faces: Array,
    owner: Array,
    first_row: int,
    last_row: int,
    width: int,
    cursor: Array,
    events: Array,
) -> None:  # pragma: no cover
    """Write every crossing's key (depth, owner, entering) into ``events`` at its ray's ``cursor``."""
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        area = (column[b] - column[a]) * (row[c] - row[a]) - (column[c] - column[a]) * (row[b] - row[a])
        if area == 0.0:
            continue
        code = owner[f] * 2 + (1 if area > 0.0 else 0)
        ia, ib, ic = 1.0 / depth[a], 1.0 / depth[b], 1.0 / depth[c]
        slope_x = ((ib - ia) * (row[c] - row[a]) - (ic - ia) * (row[b] - row[a])) / area
        slope_y = ((ic - ia) * (column[b] - column[a]) - (ib - ia) * (column[c] - column[a])) / area
        base = ia - slope_x * column[a] - slope_y * row[a]
        near = min(depth[a], depth[b], depth[c])
        far = max(depth[a], depth[b], depth[c])
        a, b, c = _by_row(column, row, a, b, c)
        top = max(int(np.ceil(row[a])), first_row)
        bottom = min(int(np.ceil(row[c])), last_row)
        for r in range(top, bottom):
            left, right = _span(column, row, a, b, c, r, width)
            start = base + slope_y * r
            for x in range(left, right):
                # A sliver seen edge-on has an ill-conditioned plane; its depth stays within its corners.
                d = min(max(1.0 / (start + slope_x * x), near), far)
                k = (r - first_row) * width + x
                events[cursor[k]] = (np.int64(d * DEPTH_UNITS) << 16) | code
                cursor[k] += 1


@njit(cache=True)
def sweep(
    events: Array,
    offsets: Array,
    enter_bit: int,
    material: Array,
    words: Array,
    obliquity: Array,
    paths: Array,
    bits: Array,
    solids: int,
) -> None:  # pragma: no cover
    """Sort each ray's crossings and book its stretches.

    Args:
        events: keys of all rays of the band; offsets: (rays + 1,) where each ray's keys lie.
        enter_bit: value of the lowest key bit that means entering.
        material: (solids,) material index, solids in order of rising priority.
        words: (solids, 2) label bits; obliquity: (rays,) ray length per mm of depth.
        paths: (rays, materials) mm, written; bits: (rays, 2) label bits, written.
    """
    open_count = np.zeros(solids, np.int64)
    active = np.zeros(solids + 1, np.int64)
    inside = np.zeros(solids, np.float64)
    touched = np.zeros(solids + 1, np.int64)
    for k in range(offsets.shape[0] - 1):
        begin, end = offsets[k], offsets[k + 1]
        if end == begin:
            continue
        for i in range(begin + 1, end):
            key = events[i]
            j = i - 1
            while j >= begin and events[j] > key:
                events[j + 1] = events[j]
                j -= 1
            events[j + 1] = key
        open_solids, seen = 0, 0
        previous = np.int64(0)
        scale = obliquity[k] / DEPTH_UNITS
        for i in range(begin, end):
            key = events[i]
            here = key >> 16
            s = (key & 0xFFFF) >> 1
            if open_solids > 0:
                stretch = (here - previous) * scale
                if stretch > 0.0:
                    top = active[open_solids - 1]
                    if inside[top] == 0.0:
                        touched[seen] = top
                        seen += 1
                    inside[top] += stretch
            previous = here
            if (key & 1) == enter_bit:
                open_count[s] += 1
                if open_count[s] == 1:
                    j = open_solids
                    while j > 0 and active[j - 1] > s:
                        active[j] = active[j - 1]
                        j -= 1
                    active[j] = s
                    open_solids += 1
            else:
                open_count[s] -= 1
                if open_count[s] == 0:
                    j = 0
                    while j < open_solids and active[j] != s:
                        j += 1
                    if j < open_solids:
                        open_solids -= 1
                        for m in range(j, open_solids):
                            active[m] = active[m + 1]
        for i in range(seen):
            s = touched[i]
            paths[k, material[s]] += inside[s]
            if inside[s] > LABEL_THRESHOLD_MM:
                bits[k, 0] |= words[s, 0]
                bits[k, 1] |= words[s, 1]
            inside[s] = 0.0
        for i in range(begin, end):
            open_count[(events[i] & 0xFFFF) >> 1] = 0


@njit(cache=True)
def average(fine: Array, rays: int, out: Array) -> None:  # pragma: no cover
    """Mean over blocks of ``rays`` x ``rays``: (H r, W r, M) to (H, W, M)."""
    share = np.float32(1.0 / (rays * rays))
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for m in range(out.shape[2]):
                total = np.float32(0.0)
                for i in range(rays):
                    for j in range(rays):
                        total += fine[r * rays + i, c * rays + j, m]
                out[r, c, m] = total * share


@njit(cache=True)
def splat_capsules(
    column: Array,
    row: Array,
    depth: Array,
    radii: Array,
    length: Array,
    sid: float,
    spacing: float,
    smallest_px: float,
    chords: Array,
) -> None:  # pragma: no cover
    """Add each tapered capsule's chord length (mm) to ``chords`` (rows, columns).

    The section is a disc drawn with at least ``smallest_px`` radius; a thinner one keeps its volume, so a
    vessel far below the pixel size fades instead of breaking up. ``column``, ``row`` and ``depth`` are (n, 2)
    for both ends, ``radii`` (n, 2) and ``length`` (n,) in mm.
    """
    rows, columns = chords.shape
    for n in range(column.shape[0]):
        ax, ay, bx, by = column[n, 0], row[n, 0], column[n, 1], row[n, 1]
        scale = sid / (0.5 * (depth[n, 0] + depth[n, 1]) * spacing)
        dx, dy = bx - ax, by - ay
        flat = np.sqrt(dx * dx + dy * dy)
        ra, rb = radii[n, 0] * scale, radii[n, 1] * scale
        wide = max(ra, rb, smallest_px)
        # Seen end-on, the chord is the segment's own length; sine of the angle to the ray otherwise.
        seen = max(flat / (length[n] * scale + 1e-9), 0.05)
        top, bottom = max(int(min(ay, by) - wide), 0), min(int(max(ay, by) + wide) + 2, rows)
        left, right = max(int(min(ax, bx) - wide), 0), min(int(max(ax, bx) + wide) + 2, columns)
        for r in range(top, bottom):
            for x in range(left, right):
                px, py = x - ax, r - ay
                if flat > 1e-6:
                    t = (px * dx + py * dy) / (flat * flat)
                    off = abs(px * dy - py * dx) / flat
                else:
                    t, off = 0.5, np.sqrt(px * px + py * py)
                if flat <= 1.6 * wide:
                    # A blob on the film: spread its volume over a disc.
                    mx, my = x - 0.5 * (ax + bx), r - 0.5 * (ay + by)
                    away = mx * mx + my * my
                    true = 0.5 * (ra + rb)
                    reach = max(true, smallest_px) + 0.4 * flat
                    if away < reach * reach:
                        bell = 2.0 * (1.0 - away / (reach * reach))
                        chords[r, x] += (
                            min(length[n], 0.5 * MAX_CHORD_RADII * true / scale) * bell * (true / reach) ** 2
                        )
                    continue
                if t < 0.0 or t >= 1.0:
                    continue
                true = ra + t * (rb - ra)
                reach = max(true, smallest_px)
                if off < reach:
                    thick = 2.0 * np.sqrt(reach * reach - off * off) * (true / reach) ** 2
                    chords[r, x] += min(thick / scale / seen, MAX_CHORD_RADII * true / scale)
