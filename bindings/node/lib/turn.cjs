'use strict';
// Writes that return promises, and the long calls.
//
//   put, insertOne, ...  --record--> stream --end of the turn, one call--> thread: one commit
//                                                                            |
//   resolve, reject  <-------------------- event <---------------------------+
//
// What JavaScript is still told keeps the event loop alive; an open database does not.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const stream = require('./encode.cjs');
const errors = require('./errors.cjs');

/** The database whose records are in the stream. */
let current = null;
/**
 * [resolve, reject, finish, bad, collection] of each record in the stream. A collection that nobody else holds would be
 * collected, and its number, which the record names, could be another's.
 */
let waiting = [];
const EACH = 5;
let scheduled = false;

/** Records handed over, by number of their batch. */
const batches = new Map();
let batchNumber = 0;
/** Long calls, by number. */
const jobs = new Map();
let jobNumber = 0;
let awaited = 0;

function expect(count) {
  if (awaited === 0 && count > 0) native.wake(true);
  awaited += count;
  if (awaited === 0) native.wake(false);
}

/** Tells a failure by what was thrown: by a getter it may be anything. */
function retell(failure, thrown) {
  try {
    if (thrown instanceof errors.NyroError) {
      const { errno, code, message } = thrown;
      Object.assign(failure, { errno, code, message });
    } else {
      failure.message = String(thrown instanceof Error ? thrown.message : thrown);
    }
  } catch {
    failure.message = 'a getter of the document threw something';
  }
}

/** A document that could not be put into words failed as malformed: its own error takes the place. */
function blame(error, bad) {
  if (bad === undefined || bad.length === 0) return error;
  if (error.errno === 201 && !error.failures) return bad[0][1];
  const thrown = new Map(bad);
  let first = null;
  for (const failure of error.failures ?? []) {
    if (thrown.has(failure.index)) {
      retell(failure, thrown.get(failure.index));
      first ??= failure;
    }
  }
  if (first !== null && first === error.failures[0]) {
    error.message = error.message.replace(/the first is number .*/s, `the first is number ${first.index}: ${first.message}`);
  }
  return error;
}

/** Adds a write to a collection of a database to this turn's. `write` puts the record, `finish` makes the result of what came back. */
function later(core, collection, write, finish) {
  if (core.handle === 0) return Promise.reject(errors.closed());
  if (core.writing) return Promise.reject(errors.nested());
  let bad;
  try {
    if (current !== core) flush();
    bad = write();
  } catch (error) {
    return Promise.reject(error);
  }
  current = core;
  if (!scheduled) {
    scheduled = true;
    setImmediate(flush);
  }
  const promise = new Promise((resolve, reject) => {
    waiting.push(resolve, reject, finish, bad, collection);
  });
  if (stream.isFull()) flush();
  return promise;
}

/** Hands over what is in the stream. */
function flush() {
  scheduled = false;
  stream.check();
  if (stream.isEmpty()) return;
  const number = (batchNumber = (batchNumber + 1) >>> 0);
  const entries = waiting;
  waiting = [];
  const answer = native.submit(current.handle, number, stream.words(), stream.floats(), stream.allText());
  stream.clear();
  current = null;
  if (answer === undefined) {
    batches.set(number, entries);
    expect(1);
    return;
  }
  const error = codec.lastError();
  for (let i = 0; i < entries.length; i += EACH) entries[i + 1](error);
}

/** All writes of a database so far are done: before a write that does not wait for the end of the turn. */
function drain(core) {
  if (!stream.isEmpty()) flush();
  // In a transaction it would be waiting for itself.
  if (!core.writing && native.drain(core.handle) < 0) throw codec.lastError();
}

/** The answer of a call that gives text, made again with a larger buffer where that is needed. */
function fetch(call) {
  let answer = call();
  while (typeof answer === 'number') {
    codec.settle(answer);
    answer = call();
  }
  return answer;
}

/** Takes all events of the threads. */
function take() {
  for (;;) {
    const answer = fetch(native.event);
    if (answer === undefined) return;
    const event = codec.one(answer);
    codec.shrink();
    if (event[0] === 0) written(event);
    else if (event[0] === 1) progress(event);
    else ended(event);
  }
}

function written(event) {
  const entries = batches.get(event[1]);
  batches.delete(event[1]);
  expect(-1);
  for (let i = 0, at = 2; i < entries.length; i += EACH, at += 2) {
    try {
      if (event[at]) entries[i](entries[i + 2](event[at + 1]));
      else entries[i + 1](blame(errors.ofParts(event[at + 1]), entries[i + 3]));
    } catch (error) {
      // The others are settled all the same.
      entries[i + 1](error);
    }
  }
}

function progress([, number, phase, done, total, unit]) {
  const job = jobs.get(number);
  if (!job || job.failed) return;
  try {
    job.onProgress({ phase, done, total, unit });
  } catch (error) {
    job.failed = { error };
    native.cancel(number);
  }
}

function ended([, number, succeeded, result]) {
  const job = jobs.get(number);
  jobs.delete(number);
  expect(-1);
  leave(job);
  try {
    job.onEnd?.();
    if (job.failed) return job.reject(job.failed.error);
    if (succeeded) return job.resolve(job.finish(result));
    const error = errors.ofParts(result);
    if (error.errno === 108 && job.signal?.aborted) error.cause = job.signal.reason;
    job.reject(error);
  } catch (error) {
    job.reject(error);
  }
}

/** Hears no more of the signal, which may be an object of the caller's own. */
function leave({ signal, abort }) {
  try {
    signal?.removeEventListener('abort', abort);
  } catch {
    // It says nothing about the call.
  }
}

/** The options of a long call, if they are some. */
function checked(options) {
  const { signal, onProgress, timeoutMs } = options ?? {};
  const methods = [signal?.addEventListener, signal?.removeEventListener];
  if (signal !== undefined && methods.some((method) => typeof method !== 'function')) {
    throw errors.argument('signal must be an AbortSignal');
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') throw errors.argument('onProgress must be a function');
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw errors.argument('timeoutMs must be a number of milliseconds');
  return { signal, onProgress, timeoutMs };
}

/** Starts a call on a thread of its own. Options: signal, onProgress, timeoutMs. `onEnd` is called, come what may. */
function start(name, handle, args, options, finish = (result) => result, onEnd = undefined) {
  return new Promise((resolve, reject) => {
    const { signal, onProgress, timeoutMs } = checked(options);
    if (!stream.isEmpty()) flush();
    if (signal?.aborted) {
      const error = errors.ofParts([108, 'Cancelled', 'the call was cancelled', -1, []]);
      error.cause = signal.reason;
      throw error;
    }
    const number = (jobNumber = (jobNumber + 1) >>> 0);
    const abort = () => native.cancel(number);
    signal?.addEventListener('abort', abort);
    const job = { resolve, reject, finish, onProgress, signal, abort, onEnd, failed: null };
    jobs.set(number, job);
    const answer = native.start(name, handle, JSON.stringify(args), number, onProgress ? 1 : 0, timeoutMs ?? -1);
    if (answer !== undefined) {
      const error = codec.lastError();
      jobs.delete(number);
      leave(job);
      onEnd?.();
      throw error;
    }
    expect(1);
    // Before it was there to be cancelled.
    if (signal?.aborted) abort();
  });
}

/** Makes a short call by its name, now. */
function call(name, handle, args = {}) {
  const json = JSON.stringify(args);
  return codec.one(fetch(() => native.call(name, handle, json)));
}

native.listen(take);

module.exports = { later, drain, flush, fetch, checked, start, call, blame };
