'use strict';
// The word form: how documents cross between JavaScript and the engine. It is described in src/words.rs.

/** The tags, in the low three bits of a word. */
const INT = 0;
const STR = 1;
const FLOAT = 2;
const MAP = 3;
const ARRAY = 4;
const OPEN = 5;
const OTHER = 6;
const BYTES = 7;

const other = (number) => (number << 3) | OTHER;

module.exports = {
  INT, STR, FLOAT, MAP, ARRAY, OPEN, OTHER, BYTES,
  NULL: other(0),
  FALSE: other(1),
  TRUE: other(2),
  MISSING: other(3),
  BIG: other(4),
  BIG_UNSIGNED: other(5),
  DATE: other(6),
  EXT: other(7),
  BAD: other(8),
};
