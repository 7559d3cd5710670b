'use strict';
// Bounds of keys: what a caller says, and as the native half takes it.

const errors = require('./errors.cjs');

/** Flags; src/keys.rs has the same. */
const START_INCLUDED = 1;
const START_EXCLUDED = 2;
const END_INCLUDED = 4;
const END_EXCLUDED = 8;
const PREFIX = 16;
const BACKWARD = 32;
const NO_KEYS = 64;
const NO_VALUES = 128;

const BOUNDS = ['gt', 'gte', 'lt', 'lte', 'prefix'];
const OPTIONS = [...BOUNDS, 'reverse', 'limit', 'keys', 'values'];

function check(options, known, what) {
  if (options === null || typeof options !== 'object') throw errors.argument(`${what} are an object`);
  for (const name in options) {
    if (!known.includes(name)) throw errors.argument(`there is no option ${name}; the options are ${known.join(', ')}`);
  }
}

/** {flags, start, end} of {gt, gte, lt, lte, prefix}; what is undefined is not there. */
function bounds({ gt, gte, lt, lte, prefix }) {
  let flags = 0;
  let start;
  let end;
  if (prefix !== undefined) {
    if (gt !== undefined || gte !== undefined || lt !== undefined || lte !== undefined) {
      throw errors.argument('a prefix says both bounds; leave out gt, gte, lt and lte');
    }
    return { flags: PREFIX, start: prefix, end };
  }
  if ((gt !== undefined && gte !== undefined) || (lt !== undefined && lte !== undefined)) {
    throw errors.argument('one of gt and gte, and one of lt and lte');
  }
  if (gte !== undefined) [flags, start] = [START_INCLUDED, gte];
  else if (gt !== undefined) [flags, start] = [START_EXCLUDED, gt];
  if (lte !== undefined) [flags, end] = [flags | END_INCLUDED, lte];
  else if (lt !== undefined) [flags, end] = [flags | END_EXCLUDED, lt];
  return { flags, start, end };
}

function boundsOf(options) {
  check(options, BOUNDS, 'bounds');
  return bounds(options);
}

/** {flags, start, end, limit, keys, values} of the options of a range. */
function rangeOf(options) {
  check(options, OPTIONS, 'the options of a range');
  const { reverse = false, limit = Infinity, keys = true, values = true } = options;
  for (const [name, value] of [['reverse', reverse], ['keys', keys], ['values', values]]) {
    if (typeof value !== 'boolean') throw errors.argument(`${name} is true or false`);
  }
  if (!(limit === Infinity || (Number.isInteger(limit) && limit >= 0))) {
    throw errors.argument('limit is a whole number from 0 on');
  }
  if (!keys && !values) throw errors.argument('a range without keys and without values gives nothing');
  const { flags, start, end } = bounds(options);
  const more = (reverse ? BACKWARD : 0) | (keys ? 0 : NO_KEYS) | (values ? 0 : NO_VALUES);
  return { flags: flags | more, start, end, limit, keys, values };
}

rangeOf.NO_KEYS = NO_KEYS;

module.exports = { boundsOf, rangeOf };
