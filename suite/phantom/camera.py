"""Cone-beam geometry: where the focal spot and the detector stand, and where a point lands.

The film is shown as readers hang it: frontal with the patient's left on the picture's right, whichever way
the beam went; lateral with the patient facing the picture's left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.phantom.mesh import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A flat detector and a point source.

    Attributes:
        source: (3,) mm, the focal spot.
        centre: (3,) mm, the middle of the film on the detector; the beam's axis is perpendicular to it.
        right, down: (3,) unit vectors of growing column and row.
        sid: mm from source to detector.
        rows, columns: film matrix.
        spacing: mm per pixel at the detector.
    """

    source: Floats
    centre: Floats
    right: Floats
    down: Floats
    sid: float
    rows: int
    columns: int
    spacing: float

    @property
    def axis(self) -> Floats:
        """Unit vector from the source towards the detector, perpendicular to it."""
        normal = np.cross(self.right, self.down)
        return np.asarray(normal * np.sign(normal @ (self.centre - self.source)))

    def project(self, points: Floats) -> Floats:
        """(n, 3) mm to (n, 3): column, row (pixel centres at whole numbers) and depth along the axis."""
        away = points - self.source
        depth = away @ self.axis
        if depth.size and depth.min() <= 1.0:
            raise ValueError("a scene reaches behind the focal spot; move the source away or cut the scene")
        scale = self.sid / depth
        offset = self.centre - self.source
        column = ((away @ self.right) * scale - offset @ self.right) / self.spacing + (self.columns - 1) / 2
        row = ((away @ self.down) * scale - offset @ self.down) / self.spacing + (self.rows - 1) / 2
        return np.stack([column, row, depth], axis=1)

    def magnification(self, point: Floats) -> float:
        """How many times larger than life an object at ``point`` appears."""
        return float(self.sid / ((point - self.source) @ self.axis))


def frontal_camera(
    projection: str,
    size: int,
    field_mm: float,
    centre_z: float,
    sid: float,
    detector_y: float,
    centre_x: float = 0.0,
    lateral_offset: float = 0.0,
) -> Camera:
    """A PA (``detector_y`` in front of the patient, negative) or AP (behind, positive) camera.

    Args:
        field_mm: side of the square film at the detector.
        centre_x, centre_z: film centre.
        lateral_offset: how far the focal spot stands to the patient's left of the film centre.
    """  # fmt: skip
    towards = 1.0 if projection == "PA" else -1.0
    centre = np.asarray([centre_x, detector_y, centre_z])
    source = centre + np.asarray([lateral_offset, towards * sid, 0.0])
    right, down = np.asarray([1.0, 0.0, 0.0]), np.asarray([0.0, 0.0, -1.0])
    return Camera(source, centre, right, down, sid, size, size, field_mm / size)


def lateral_camera(
    size: int, field_mm: float, centre_y: float, centre_z: float, sid: float, x: float
) -> Camera:
    """A left lateral: detector at ``x`` on the patient's left, source on the right, patient facing left."""
    centre = np.asarray([x, centre_y, centre_z])
    source = centre - np.asarray([sid, 0.0, 0.0])
    right, down = np.asarray([0.0, 1.0, 0.0]), np.asarray([0.0, 0.0, -1.0])
    return Camera(source, centre, right, down, sid, size, size, field_mm / size)
