'use strict';
// Numbers of native things, and their end when JavaScript has forgotten them.

const native = require('./native.cjs');

const registry = new FinalizationRegistry((handle) => native.release(handle));

/** Lets the native thing go when the object is collected. */
function untilCollected(object, handle) {
  registry.register(object, handle, object);
}

/** Lets it go now. */
function letGo(object, handle) {
  registry.unregister(object);
  native.release(handle);
}

/** `Symbol.dispose` and `Symbol.asyncDispose`, or what stands for them where Node has none (as TypeScript does it). */
const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** The property that holds the number, for the classes of this package. */
const HANDLE = Symbol('handle');
/** The method that ends a thing from the inside of this package. */
const END = Symbol('end');
/** What a keyspace reads as text, and a range by the batch, for the abstract-level database. */
const TEXT = Symbol('text');
const TEXTS = Symbol('texts');
const BATCH = Symbol('batch');

module.exports = { untilCollected, letGo, dispose, asyncDispose, HANDLE, END, TEXT, TEXTS, BATCH };
