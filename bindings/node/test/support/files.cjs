'use strict';
// Folders for tests, gone when the process is.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const made = [];
process.on('exit', () => made.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

/** A new folder. */
function folder() {
  const name = fs.mkdtempSync(path.join(os.tmpdir(), 'nyrodb-test-'));
  made.push(name);
  return name;
}

/** A generator of numbers below a limit, the same for the same seed. */
function seeded(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

module.exports = { folder, file: () => path.join(folder(), 'app.nyro'), seeded };
