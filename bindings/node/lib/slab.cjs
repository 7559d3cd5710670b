'use strict';
// Memory that native calls copy bytes into: raw documents, keys and values.
//
//   slab   | given | given | .. | free ..      | then another slab
//
// Many pieces lie in one slab, and what is given is a view of it. So none costs an allocation of its own; one that is
// kept keeps its slab.

const { markAsUntransferable } = require('node:worker_threads');
const native = require('./native.cjs');
const codec = require('./decode.cjs');

const SLAB_BYTES = 64 * 1024;
/** A batch of a range is not begun with less room than this. */
const BATCH_ROOM = 16 * 1024;
/** In place of where a value ends: there is none. */
const MISSING = 0xffffffff;

let slab = null;
/** All of it. Its length is 0 when somebody has detached the slab: native code must not write there any more. */
let all = new Uint8Array(0);
let used = 0;

function renew(size) {
  slab = new ArrayBuffer(size);
  // Other pieces are in it, too.
  markAsUntransferable(slab);
  all = new Uint8Array(slab);
  used = 0;
  native.setBuffer(2, slab);
}

/**
 * Makes a call that copies one piece: it is given the offset and says the length, or minus (length + 2) if there is too
 * little room. The length, or undefined; the piece is where the next one would be, until it is taken.
 */
function fetch(call, handle, key) {
  if (all.length === 0) renew(SLAB_BYTES);
  let length = call(handle, key, used);
  if (length >= 0) return length;
  // Written anew by another thread in between, and larger, it may not fit again.
  while (length < -1) {
    renew(Math.max(SLAB_BYTES, -length - 2));
    length = call(handle, key, 0);
  }
  if (length === undefined) return undefined;
  if (length < 0) throw codec.lastError();
  return length;
}

/** Takes the piece that was fetched. */
function takeBytes(length) {
  const bytes = new Uint8Array(slab, used, length);
  used += length;
  return bytes;
}

function takeBuffer(length) {
  const buffer = Buffer.from(slab, used, length);
  used += length;
  return buffer;
}

/** The piece that was fetched as text, which needs no memory here. */
function readText(length) {
  const text = Buffer.from(slab, used, length).toString();
  shrink();
  return text;
}

/** Text was made of what lies here: a very large slab goes, or the next pieces would keep it. */
function shrink() {
  if (all.length > SLAB_BYTES) renew(SLAB_BYTES);
}

function align() {
  used = (used + 7) & ~7;
}

/** A view of words, and how to make a part of the rest into what is wanted of it. */
function parts(base) {
  const whole = Buffer.from(slab);
  return {
    buffer: (start, end) => Buffer.from(slab, base + start, end - start),
    text: (start, end) => whole.toString('utf8', base + start, base + end),
  };
}

/**
 * Gathered values: `total` bytes that the native half holds, `count` ends in front. A list, undefined for each that is not
 * there; strings if `isText`.
 */
function gathered(count, total, isText) {
  align();
  if (all.length === 0 || total > all.length - used) renew(Math.max(SLAB_BYTES, total));
  if (native.kvGathered(used) < 0) throw codec.lastError();
  const words = new Uint32Array(slab, used, count);
  const { buffer, text } = parts(used + 4 * count);
  const make = isText ? text : buffer;
  const values = new Array(count);
  let start = 0;
  for (let i = 0; i < count; i++) {
    const end = words[i];
    if (end === MISSING) {
      values[i] = undefined;
    } else {
      values[i] = make(start, end);
      start = end;
    }
  }
  if (isText) shrink();
  else used += total;
  return values;
}

/** No batch: there is nothing more. */
const END = Object.freeze({ entries: Object.freeze([]), ended: true });

/**
 * The next entries of a range, at most so many: {entries, ended}, made by `entry` of four places and of how to make a part
 * into a buffer or text. Text leaves no trace here; `keeps` says that there is more than that.
 */
function batch(range, most, entry, keeps) {
  align();
  if (all.length - used < BATCH_ROOM) renew(SLAB_BYTES);
  let count = native.kvFill(range, used, most);
  if (count < -1) {
    renew(Math.max(SLAB_BYTES, -count - 2));
    count = native.kvFill(range, 0, most);
  }
  if (count < 0) throw codec.lastError();
  if (count === 0) return END;
  const words = new Uint32Array(slab, used, 1 + 2 * count);
  const base = used + 4 * (1 + 2 * most);
  const { buffer, text } = parts(base);
  const entries = new Array(count);
  let start = 0;
  for (let i = 0, at = 1; i < count; i++, at += 2) {
    const middle = words[at];
    const end = words[at + 1];
    entries[i] = entry(start, middle, end, buffer, text);
    start = end;
  }
  const ended = words[0] === 1;
  if (keeps) used = base + start;
  else shrink();
  return { entries, ended };
}

module.exports = { fetch, takeBytes, takeBuffer, readText, gathered, batch };
