'use strict';
// Objects into words, for the native half to write as MessagePack: the way back of decode.cjs.
//
//   record   | kind | collection | count | flags | ends of words, floats, text | values ..     one for each write
//
// The records of a whole event-loop turn stand one behind the other and cross in one call. The keys of a map are
// walked down a tree of known keys; at its end stands the number of the shape, which is all that crosses of them.

const { types } = require('node:util');
const native = require('./native.cjs');
const errors = require('./errors.cjs');
const { Ext } = require('./ext.cjs');
const {
  STR, FLOAT, MAP, ARRAY, OPEN, BYTES, NULL, FALSE, TRUE, BIG, BIG_UNSIGNED, DATE, EXT, BAD,
} = require('./words.cjs');

/** Kinds of records. */
const kinds = { PUT: 0, INSERT: 1, INSERT_MANY: 2, REPLACE: 3, DELETE: 4, PUT_RAW: 5, KEYS: 6 };
/** Kinds of changes of a keyspace, many in a record. */
const changes = { PUT: 0, DELETE: 1, DELETE_RANGE: 2, CLEAR: 3 };
/** Words in front of a record. */
const HEAD = 7;
/** Levels of a document. */
const MAX_DEPTH = 100;
/** A document of more words can't be stored: each is at least a byte. */
const MAX_WORDS = 32 * 1024 * 1024;
/** Integers that fit a word. */
const INT_LIMIT = 1 << 28;
/** From here on the records are sent at once, not at the end of the turn. */
const FULL_WORDS = 1024 * 1024;
const FULL_TEXT = 8 * 1024 * 1024;
const FULL_FLOATS = 1024 * 1024;
/** Keys that the tree remembers at most; then it is begun anew. */
const MAX_NODES = 8192;
/** Maps of one record that may turn out, behind a value, to be of no known shape. */
const MAX_RESTARTS = 16;
/** Sizes above are not kept. */
const KEPT_BUFFER = 16 * 1024 * 1024;

const ObjectPrototype = Object.prototype;
const { getPrototypeOf, hasOwn } = Object;
/** The true length of a Uint8Array: a property of that name may say another. */
const byteLength = Function.call.bind(
  Object.getOwnPropertyDescriptor(getPrototypeOf(Uint8Array.prototype), 'byteLength').get,
);

let W;
let F;
let signed;
let unsigned;
let bytes;
let size = 0;

function setBuffer(wanted) {
  const buffer = new ArrayBuffer(wanted);
  const half = Math.floor(wanted / 16) * 8;
  const before = { W, bytes };
  W = new Int32Array(buffer, 0, half / 4);
  F = new Float64Array(buffer, half, half / 8);
  signed = new BigInt64Array(buffer, half, half / 8);
  unsigned = new BigUint64Array(buffer, half, half / 8);
  bytes = new Uint8Array(buffer, half, half);
  if (before.W) {
    W.set(before.W.subarray(0, W.length));
    bytes.set(before.bytes.subarray(0, bytes.length));
  }
  size = wanted;
  native.setBuffer(1, buffer);
}

setBuffer(1024 * 1024);

/** Words, floats and text written. */
let p = 0;
let q = 0;
let text = '';
/** Units of text that the native half has already. */
let sent = 0;
/** A string that grows longer than this is sent: what it is made of need not be kept for long. */
const LONG_TEXT = 4096;

function sendText() {
  native.addText(text);
  sent += text.length;
  text = '';
}

/** A node of the tree of keys: the way to it is the keys of a map so far. */
class Node {
  constructor(key, parent) {
    this.key = key;
    this.parent = parent;
    this.depth = parent === null ? 0 : parent.depth + 1;
    /** The key that came next the last time, and its node. */
    this.likelyKey = null;
    this.likely = null;
    /** The others, if there are more. */
    this.others = null;
    /** Number of the shape that ends here, or -1. */
    this.shape = -1;
    /** Where the map began that was the last value of this key: its first key, and its node. */
    this.innerKey = null;
    this.inner = null;
  }
}

let root = new Node('', null);
let nodes = 0;
/** The tree has no room; maps of new shapes cross with their keys until it is begun anew. */
let full = false;
let restarts = 0;
/** Object.prototype has properties that would be met in every object. */
let polluted = false;
/** A record is being written: a getter that calls the database now would write into it. */
let busy = false;

function step(node, key) {
  if (node.others === null) {
    if (node.likely === null) {
      const next = add(node, key);
      if (next !== null) {
        node.likelyKey = key;
        node.likely = next;
      }
      return next;
    }
    node.others = new Map([[node.likelyKey, node.likely]]);
  }
  let next = node.others.get(key);
  if (next === undefined) {
    next = add(node, key);
    if (next === null) return null;
    node.others.set(key, next);
  }
  node.likelyKey = key;
  node.likely = next;
  return next;
}

/** The first step of a map that is a value of the key of `at`. */
function begin(at, key) {
  const next = step(root, key);
  if (next !== null) {
    at.innerKey = key;
    at.inner = next;
  }
  return next;
}

function add(node, key) {
  if (nodes >= MAX_NODES || node.depth >= 256) {
    full = full || nodes >= MAX_NODES;
    return null;
  }
  nodes++;
  return new Node(key, node);
}

function define(node) {
  const keys = [];
  for (let at = node; at.parent !== null; at = at.parent) keys.push(at.key);
  const number = native.defineShape(keys.reverse());
  if (number === undefined) throw errors.serialization('a key holds half of a surrogate pair');
  if (number < 0) throw errors.serialization('its keys could not be read');
  node.shape = number;
}

/**
 * Puts a value inside an array or a map. `depth` is the level of a map or array that it would be, `at` the node of the
 * key that it belongs to.
 */
function value(v, depth, at) {
  if (typeof v === 'string') {
    string(v);
  } else if (typeof v === 'number') {
    if ((v | 0) === v && v < INT_LIMIT && v >= -INT_LIMIT && (v !== 0 || 1 / v > 0)) {
      W[p++] = v << 3;
    } else {
      W[p++] = FLOAT;
      F[q++] = v;
    }
  } else if (v === true) {
    W[p++] = TRUE;
  } else if (v === false) {
    W[p++] = FALSE;
  } else if (v === null || v === undefined) {
    // Undefined in an array: the places of the others stay as they are.
    W[p++] = NULL;
  } else if (typeof v === 'object') {
    if (Array.isArray(v)) array(v, depth, at);
    else object(v, depth, at);
  } else if (typeof v === 'bigint') {
    bigint(v);
  } else {
    throw new Refusal(`a ${typeof v} can't be stored`, v);
  }
}

function string(v) {
  if (v.length > MAX_WORDS) throw errors.tooLarge();
  W[p++] = (v.length << 3) | STR;
  text += v;
}

function bigint(v) {
  if (BigInt.asIntN(64, v) === v) {
    W[p++] = BIG;
    signed[q++] = v;
  } else if (BigInt.asUintN(64, v) === v) {
    W[p++] = BIG_UNSIGNED;
    unsigned[q++] = v;
  } else {
    throw new Refusal('a BigInt beyond 64 bits can\'t be stored', v);
  }
}

function array(v, depth, at) {
  enter(depth);
  const { length } = v;
  if (length > MAX_WORDS) throw errors.tooLarge();
  // A proxy's may be anything.
  if (length >>> 0 !== length) throw new Refusal('an array whose length is no whole number can\'t be stored', v);
  W[p++] = (length << 3) | ARRAY;
  for (let i = 0; i < length; i++) value(v[i], depth + 1, at);
}

function enter(depth) {
  if (depth > MAX_DEPTH) throw errors.tooDeep();
  if (p > start + MAX_WORDS) throw errors.tooLarge();
}

function object(v, depth, at) {
  // Asking for the prototype costs a call into the engine of JavaScript, reading a property does not.
  if (v.constructor === Object) {
    map(v, depth, at);
    return;
  }
  const prototype = getPrototypeOf(v);
  if (prototype === ObjectPrototype || prototype === null) {
    map(v, depth, at);
  } else {
    special(v, prototype, depth);
  }
}

/** An object that is no plain one. */
function special(v, prototype, depth) {
  if (types.isDate(v)) {
    const time = Date.prototype.getTime.call(v);
    if (Number.isNaN(time)) throw new Refusal('an invalid Date can\'t be stored', v);
    W[p++] = DATE;
    F[q++] = time;
  } else if (types.isUint8Array(v)) {
    putBytes(v);
  } else if (v instanceof Ext) {
    // Both may have been changed since it was made.
    const { code, bytes: content } = v;
    if (!Number.isInteger(code) || code < -128 || code > 127 || !types.isUint8Array(content)) {
      throw new Refusal('an Ext whose code is not -128 to 127, or whose bytes are no Uint8Array, can\'t be stored', v);
    }
    if (code >= 48 && code <= 63) throw errors.malformed('extension codes 48 to 63 are reserved for NyroDB');
    W[p++] = EXT;
    W[p++] = code;
    putBytes(content);
  } else if (getPrototypeOf(prototype) === null && hasOwn(prototype, 'hasOwnProperty')) {
    // A plain object of another realm: of a vm context, as test runners have them.
    const before = polluted;
    polluted = true;
    map(v, depth, root);
    polluted = before;
  } else {
    throw new Refusal(`${describe(v)} can't be stored`, v);
  }
}

function describe(v) {
  if (v instanceof Map) return 'a Map (use Object.fromEntries)';
  if (v instanceof Set) return 'a Set (use an array)';
  if (types.isPromise(v)) return 'a Promise (await it first)';
  if (ArrayBuffer.isView(v) || types.isAnyArrayBuffer(v)) return 'this kind of bytes (use a Uint8Array over them)';
  const name = v.constructor?.name;
  return `an instance of ${typeof name === 'string' && name ? name : 'a class'} (use a plain object, such as {...value})`;
}

function putBytes(v) {
  const length = byteLength(v);
  if (length > MAX_WORDS) throw errors.tooLarge();
  W[p++] = (length << 3) | BYTES;
  // If it does not fit, the record is written again into a larger buffer.
  if (q * 8 + length <= bytes.length) bytes.set(v, q * 8);
  q += (length + 7) >>> 3;
}

function map(v, depth, at) {
  enter(depth);
  if (restarts >= MAX_RESTARTS) return openMap(v, depth);
  const place = p++;
  const floats = q;
  const before = text;
  let node = root;
  for (const key in v) {
    if (polluted && !hasOwn(v, key)) continue;
    const field = v[key];
    if (field === undefined) continue;
    let next;
    if (node !== root) next = node.likelyKey === key ? node.likely : step(node, key);
    else if (at.innerKey === key) next = at.inner;
    else next = begin(at, key);
    if (next === null) {
      if (node !== root) restarts++;
      p = place;
      q = floats;
      text = before;
      return openMap(v, depth);
    }
    node = next;
    if (typeof field === 'string') {
      string(field);
    } else {
      value(field, depth + 1, node);
    }
  }
  if (node === root) {
    W[place] = OPEN;
    return;
  }
  if (node.shape < 0) define(node);
  W[place] = (node.shape << 3) | MAP;
}

/** A map with its keys. */
function openMap(v, depth) {
  const place = p++;
  let count = 0;
  for (const key in v) {
    if (polluted && !hasOwn(v, key)) continue;
    const field = v[key];
    if (field === undefined) continue;
    string(key);
    value(field, depth + 1, root);
    count++;
  }
  W[place] = (count << 3) | OPEN;
}

/** A value that can't be stored. Where it stands is found out when it is told, as an error: this is none, and cheap. */
class Refusal {
  constructor(message, value) {
    this.message = message;
    this.value = value;
  }
}

function pathTo(at, wanted, depth) {
  if (Object.is(at, wanted)) return '';
  if (depth > MAX_DEPTH || at === null || typeof at !== 'object') return null;
  for (const key in at) {
    const rest = pathTo(at[key], wanted, depth + 1);
    if (rest !== null) return Array.isArray(at) ? `[${key}]${rest}` : `.${key}${rest}`;
  }
  return null;
}

/** The error for what was thrown while a document was put into words; a getter's own error is itself. */
function explain(thrown, document) {
  if (!(thrown instanceof Refusal)) return thrown;
  let path = null;
  try {
    path = pathTo(document, thrown.value, 1);
  } catch {
    // A getter; the value is named without its place.
  }
  return errors.serialization(path ? `${thrown.message} (at ${path.replace(/^\./, '')})` : thrown.message);
}

function document(v) {
  if (v === null || typeof v !== 'object' || Array.isArray(v)) {
    throw errors.malformed(`a document is an object, not ${v === null ? 'null' : Array.isArray(v) ? 'an array' : `a ${typeof v}`}`);
  }
  restarts = 0;
  if (v.constructor === Object) {
    map(v, 1, root);
    return;
  }
  const prototype = getPrototypeOf(v);
  if (prototype === ObjectPrototype || prototype === null) map(v, 1, root);
  else if (types.isDate(v) || types.isUint8Array(v) || v instanceof Ext) throw errors.malformed('a document is a plain object');
  else special(v, prototype, 1);
}

function id(v) {
  if (typeof v === 'number') {
    if (!Number.isSafeInteger(v)) {
      throw errors.invalidId('a number that is no integer below 2^53; larger ones are given as BigInt');
    }
    value(v + 0, 1, root);
  } else if (typeof v === 'string') {
    string(v);
  } else if (typeof v === 'bigint') {
    if (BigInt.asIntN(64, v) !== v && BigInt.asUintN(64, v) !== v) throw errors.invalidId('a BigInt beyond 64 bits');
    bigint(v);
  } else if (types.isUint8Array(v)) {
    putBytes(v);
  } else {
    throw errors.invalidId('use an integer, a string or a Uint8Array');
  }
}

/** Where the record begins that is being written. */
let start = 0;
let startFloats = 0;
let startText = '';
let startSent = 0;

/** Takes the text of this record back. */
function cutText() {
  if (sent === startSent) {
    text = startText;
  } else {
    sent = startSent + startText.length;
    text = '';
    native.cutText(sent);
  }
}

/**
 * Writes one record. `fill` puts its values; what it throws takes the record back. Returns nothing.
 */
function record(kind, collection, count, flags, fill) {
  check();
  busy = true;
  if (text.length > LONG_TEXT) sendText();
  polluted = false;
  for (const _ in ObjectPrototype) polluted = true;
  start = p;
  startFloats = q;
  startText = text;
  startSent = sent;
  try {
    for (;;) {
      p = start + HEAD;
      fill();
      // What lay beyond the end of the buffer was not written.
      if (p <= W.length && q <= F.length) break;
      const needed = Math.max(p * 8, q * 16);
      cutText();
      q = startFloats;
      setBuffer(Math.ceil((needed * 1.5) / 65536) * 65536);
    }
    W[start] = kind;
    W[start + 1] = collection;
    W[start + 2] = count;
    W[start + 3] = flags;
    W[start + 4] = p;
    W[start + 5] = q;
    W[start + 6] = sent + text.length;
  } catch (thrown) {
    p = start;
    q = startFloats;
    cutText();
    throw thrown;
  } finally {
    busy = false;
  }
}

/** Refuses what would write, or take, in the middle of a record. */
function check() {
  if (busy) throw errors.argument('a getter of a document called the database while the document was being stored');
}

/** A record of one document. */
function writeOne(kind, collection, doc) {
  try {
    record(kind, collection, 1, 0, () => document(doc));
  } catch (thrown) {
    throw explain(thrown, doc);
  }
}

/** A record of an id and a document. */
function writeReplace(collection, key, doc) {
  try {
    record(kinds.REPLACE, collection, 1, 0, () => {
      id(key);
      document(doc);
    });
  } catch (thrown) {
    throw explain(thrown, doc);
  }
}

/** A record of an id. */
function writeDelete(collection, key) {
  record(kinds.DELETE, collection, 1, 0, () => id(key));
}

/** A record of a document's bytes. */
function writeRaw(collection, raw) {
  if (!types.isUint8Array(raw)) throw errors.argument('a raw document is a Uint8Array');
  record(kinds.PUT_RAW, collection, 1, 0, () => putBytes(raw));
}

/**
 * A record of many documents. Those that can't be put into words are marked, so that what the engine does with a
 * document that is wrong is done with them: returns [place, error] of each.
 */
function writeMany(collection, documents, flags) {
  const bad = [];
  record(kinds.INSERT_MANY, collection, documents.length, flags, () => {
    bad.length = 0;
    for (let i = 0; i < documents.length; i++) {
      const place = p;
      const floats = q;
      const before = text;
      p += 3;
      try {
        document(documents[i]);
      } catch (thrown) {
        bad.push([i, explain(thrown, documents[i])]);
        p = place + 3;
        q = floats;
        text = before;
        W[p++] = BAD;
      }
      W[place] = p;
      W[place + 1] = q;
      W[place + 2] = sent + text.length;
      if (text.length > LONG_TEXT) sendText();
    }
  });
  return bad;
}

/** Ids alone, for a call that reads: no record. The caller has sent what was written before. */
function writeIds(ids) {
  writeList(ids, id);
}

function writeList(list, write) {
  check();
  const fill = () => {
    for (let i = 0; i < list.length; i++) write(list[i]);
  };
  try {
    fill();
    while (p > W.length || q > F.length) {
      const needed = Math.max(p * 8, q * 16);
      // In this order: it makes a large buffer small.
      clear();
      setBuffer(Math.ceil((needed * 1.5) / 65536) * 65536);
      fill();
    }
  } catch (thrown) {
    clear();
    throw thrown;
  }
}

/** A key or a value: text, as UTF-8, or bytes. `refuse` makes the error of one that is too long to be sent at all. */
function octets(v, what, refuse) {
  if (typeof v === 'string') {
    if (v.length > MAX_WORDS) throw refuse(v.length);
    string(v);
  } else if (types.isUint8Array(v)) {
    const length = byteLength(v);
    if (length > MAX_WORDS) throw refuse(length);
    putBytes(v);
  } else {
    throw errors.argument(`${what} is a string or a Uint8Array`);
  }
}

const key = (v) => octets(v, 'a key', errors.keyTooLarge);
const bound = (v) => octets(v, 'a bound', errors.keyTooLarge);

/** A record of changes of a keyspace, each an array: its kind and what belongs to it. */
function writeChanges(keyspace, list) {
  record(kinds.KEYS, keyspace, list.length, 0, () => {
    for (const [kind, first, second] of list) {
      W[p++] = kind;
      if (kind === changes.PUT) {
        key(first);
        octets(second, 'a value', errors.valueTooLarge);
      } else if (kind === changes.DELETE) {
        key(first);
      } else if (kind === changes.DELETE_RANGE) {
        W[p++] = first.flags;
        if (first.start !== undefined) bound(first.start);
        if (first.end !== undefined) bound(first.end);
      }
      if (text.length > LONG_TEXT) sendText();
    }
  });
}

/** Keys alone, as `writeIds`. */
function writeKeys(keys) {
  writeList(keys, key);
}

/** How much is written: [words, floats]; and the text. */
const words = () => p;
const floats = () => q;
const allText = () => text;
const isEmpty = () => p === 0;
const isFull = () => p > FULL_WORDS || q > FULL_FLOATS || sent + text.length > FULL_TEXT;

/** Begins anew, after what was written has been taken. */
function clear() {
  p = 0;
  q = 0;
  text = '';
  if (sent > 0) {
    sent = 0;
    native.cutText(0);
  }
  if (full) {
    native.forgetShapes();
    root = new Node('', null);
    nodes = 0;
    full = false;
  }
  if (size > KEPT_BUFFER) {
    W = undefined;
    setBuffer(1024 * 1024);
  }
}

module.exports = {
  check, kinds, writeOne, writeReplace, writeDelete, writeRaw, writeMany, writeIds, changes, writeChanges, writeKeys,
  words, floats, allText, isEmpty, isFull, clear,
};
