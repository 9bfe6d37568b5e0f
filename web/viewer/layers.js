/** Fetches layers as raw numbers and keeps them: a layer is asked for once. */

/**
 * @typedef {{rows: number, columns: number, gridRows: number, gridColumns: number, values: Uint16Array | Uint8Array}}
 * Layer ``rows`` and ``columns`` are the film's; the grid is smaller for a first look at a large film.
 */

/** @type {Map<string, Promise<Layer>>} */
const known = new Map();

const FIRST_LOOK_PIXELS = 640;

async function load(url) {
  const answer = await fetch(url, { headers: { Accept: "application/octet-stream" } });
  if (!answer.ok || answer.redirected) {
    throw new Error(
      answer.status === 404 ? "This layer is not stored; read the study again." : "The layer could not be loaded; reload the page.",
    );
  }
  const rows = Number(answer.headers.get("X-Rows"));
  const columns = Number(answer.headers.get("X-Columns"));
  const buffer = await answer.arrayBuffer();
  const values = url.split("?")[0].endsWith(".u16") ? littleEndian(buffer) : new Uint8Array(buffer);
  if (values.length !== rows * columns) throw new Error("The layer arrived incomplete; reload the page.");
  return { rows, columns, gridRows: rows, gridColumns: columns, values };
}

/** Little-endian 16-bit numbers on any machine. */
function littleEndian(buffer) {
  const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  if (isLittle) return new Uint16Array(buffer);
  const view = new DataView(buffer);
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, index) => view.getUint16(2 * index, true));
}

/** @returns {Promise<Layer>} */
export function layer(url) {
  let found = known.get(url);
  if (!found) {
    found = load(url);
    known.set(url, found);
    found.catch(() => known.delete(url));
  }
  return found;
}

/** A small copy of a large film, to be looked at while the film itself comes; null for films that are small. */
export async function firstLook(url, { rows, columns }) {
  let halvings = 0;
  while (Math.max(rows, columns) >> halvings > FIRST_LOOK_PIXELS) halvings += 1;
  if (halvings < 2) return null;
  const small = await load(`${url}?halvings=${halvings}`);
  return { ...small, rows: small.rows << halvings, columns: small.columns << halvings };
}
