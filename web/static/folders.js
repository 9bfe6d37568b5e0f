/** What was dropped, as files: folders are walked to their ends, hidden files are passed over. */

function read(entry) {
  return new Promise((done, fail) => entry.file(done, fail));
}

/** A reader gives a folder's entries in portions, and an empty one at the end. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const portion = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (portion.length === 0) return found;
    found.push(...portion);
  }
}

async function walk(entry, files) {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) files.push(await read(entry));
  else for (const inner of await entriesOf(entry)) await walk(inner, files);
}

/** @param {DataTransfer} dropped */
export async function filesOf(dropped) {
  // Entries must be asked for before anything is awaited: the browser empties the list after the event.
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...dropped.files];
  const files = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}
