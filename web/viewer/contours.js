/** Lines of equal height of a map, by marching squares on a reduced grid, as paths in film coordinates. */

const GRID_SIDE = 256;

/** @returns {Path2D} where the map crosses ``level`` */
export function contour(map, level) {
  const grid = reduced(map);
  const path = new Path2D();
  for (let row = -1; row < grid.rows; row += 1) {
    for (let column = -1; column < grid.columns; column += 1) square(path, grid, row, column, level);
  }
  return path;
}

function square(path, grid, row, column, level) {
  const corners = [
    value(grid, row, column), value(grid, row, column + 1), value(grid, row + 1, column + 1), value(grid, row + 1, column),
  ];
  const above = corners.map((corner) => corner >= level);
  if (above.every((is) => is === above[0])) return;
  const crossings = [];
  for (let side = 0; side < 4; side += 1) {
    const next = (side + 1) % 4;
    if (above[side] !== above[next]) crossings.push(crossing(grid, row, column, side, corners[side], corners[next], level));
  }
  // A saddle has four crossings: the middle decides which belong together.
  const middle = corners.reduce((sum, corner) => sum + corner, 0) / 4;
  if (crossings.length === 4 && above[0] !== middle >= level) {
    crossings.push(crossings.shift());
  }
  for (let at = 0; at + 1 < crossings.length; at += 2) {
    path.moveTo(crossings[at].x, crossings[at].y);
    path.lineTo(crossings[at + 1].x, crossings[at + 1].y);
  }
}

/** Sides of a square, clockwise from the upper one. */
function crossing(grid, row, column, side, from, to, level) {
  const part = (level - from) / (to - from);
  const [dx, dy] = [[part, 0], [1, part], [1 - part, 1], [0, 1 - part]][side];
  return { x: (column + dx + 0.5) * grid.stepX, y: (row + dy + 0.5) * grid.stepY };
}

/** Outside the film the map is nothing, so that lines close at its edge. */
function value(grid, row, column) {
  if (row < 0 || column < 0 || row >= grid.rows || column >= grid.columns) return 0;
  return grid.values[row * grid.columns + column];
}

/** Means over blocks, so that a contour costs the same on any film. */
function reduced(map) {
  const side = Math.max(1, Math.ceil(Math.max(map.gridRows, map.gridColumns) / GRID_SIDE));
  const rows = Math.ceil(map.gridRows / side);
  const columns = Math.ceil(map.gridColumns / side);
  const sums = new Float32Array(rows * columns);
  const counts = new Uint16Array(rows * columns);
  for (let row = 0; row < map.gridRows; row += 1) {
    const target = Math.floor(row / side) * columns;
    for (let column = 0; column < map.gridColumns; column += 1) {
      const at = target + Math.floor(column / side);
      sums[at] += map.values[row * map.gridColumns + column];
      counts[at] += 1;
    }
  }
  const step = (side * map.columns) / map.gridColumns;
  return { rows, columns, values: sums.map((sum, at) => sum / counts[at]), stepX: step, stepY: step };
}
