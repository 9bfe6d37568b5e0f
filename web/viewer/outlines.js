/** The borders of a mask's structures as paths along pixel edges; straight runs are one line. */

/** Colours told apart with any colour vision on grey, after Okabe and Ito 2008, lightened for a dark film. */
export const OUTLINE_COLOURS = {
  "right-lung": "#6fc8ff",
  "left-lung": "#3fe0b4",
  "lung-whole": "#9adfff",
  heart: "#ff9d5c",
  clavicles: "#f5e663",
  bone: "#e9b8d9",
  body: "#b9c4cc",
  pneumothorax: "#ff7aa8",
};
const OTHER_COLOUR = "#e6e6e6";

/** @param belongs {equals: value}, {bits: mask} or {any: 1}, as the page says */
export function outline(mask, belongs) {
  const inside = flags(mask, belongs);
  const path = new Path2D();
  const { rows, columns } = mask;
  traceRows(path, inside, rows, columns);
  traceColumns(path, inside, rows, columns);
  return path;
}

export function colourOf(key) {
  return OUTLINE_COLOURS[key] ?? OTHER_COLOUR;
}

function flags({ values }, { equals, bits }) {
  const table = Uint8Array.from({ length: 256 }, (_, value) => {
    if (equals !== undefined) return value === equals ? 1 : 0;
    return bits !== undefined ? Number((value & bits) !== 0) : Number(value !== 0);
  });
  return Uint8Array.from(values, (value) => table[value]);
}

/** Edges that run along rows. */
function traceRows(path, inside, rows, columns) {
  for (let edge = 0; edge <= rows; edge += 1) {
    const above = (edge - 1) * columns;
    const below = edge * columns;
    let start = -1;
    for (let column = 0; column <= columns; column += 1) {
      const first = edge > 0 && column < columns ? inside[above + column] : 0;
      const second = edge < rows && column < columns ? inside[below + column] : 0;
      if (first !== second) {
        if (start < 0) start = column;
      } else if (start >= 0) {
        path.moveTo(start, edge);
        path.lineTo(column, edge);
        start = -1;
      }
    }
  }
}

/** Edges that run along columns, row by row because memory lies so. */
function traceColumns(path, inside, rows, columns) {
  const starts = new Int32Array(columns + 1).fill(-1);
  for (let row = 0; row <= rows; row += 1) {
    const base = row * columns;
    for (let edge = 0; edge <= columns; edge += 1) {
      const first = row < rows && edge > 0 ? inside[base + edge - 1] : 0;
      const second = row < rows && edge < columns ? inside[base + edge] : 0;
      if (first !== second) {
        if (starts[edge] < 0) starts[edge] = row;
      } else if (starts[edge] >= 0) {
        path.moveTo(edge, starts[edge]);
        path.lineTo(edge, row);
        starts[edge] = -1;
      }
    }
  }
}
