'use strict';
// Finds and loads the native half for this platform.

const fs = require('node:fs');
const path = require('node:path');
const { platform } = require('./platform.cjs');

function load() {
  const folder = path.join(__dirname, '..', 'prebuilds');
  const wanted = platform();
  const file = path.join(folder, wanted, 'nyrodb.node');
  if (!fs.existsSync(file)) {
    const found = fs.existsSync(folder) ? fs.readdirSync(folder).join(', ') : '';
    throw new Error(
      `nyrodb has no binary for ${wanted} in this package (it has: ${found || 'none'}). ` +
        'Use a platform that is there, or build the package from source.',
    );
  }
  return require(file);
}

// A state of our own: another evaluation of this file, over the same binary, has another.
const native = load().create();

module.exports = native;
