'use strict';
// Errors: a class for each kind, a name and a number for each error. The list is that of docs/errors.md.

/** Names of all errors by number. */
const NAMES = {
  101: 'InvalidArgument',
  102: 'InvalidName',
  103: 'Closed',
  104: 'NestedTransaction',
  105: 'ReadOnly',
  106: 'OptionsDiffer',
  107: 'RolledBack',
  108: 'Cancelled',
  109: 'DeadlineExceeded',
  110: 'Forked',
  111: 'WrongThread',
  201: 'MalformedDocument',
  202: 'DocumentTooLarge',
  203: 'DocumentTooDeep',
  204: 'InvalidId',
  205: 'DuplicateId',
  206: 'Serialization',
  207: 'CollectionNotFound',
  208: 'CollectionExists',
  209: 'IdsExhausted',
  210: 'BulkWrite',
  211: 'KeyTooLarge',
  212: 'ValueTooLarge',
  213: 'OtherKind',
  301: 'Locked',
  302: 'WriterTimeout',
  401: 'NotADatabase',
  402: 'UnknownFormat',
  403: 'Corrupt',
  404: 'LogMissing',
  405: 'NoSuchFile',
  406: 'NetworkFileSystem',
  407: 'BackupMismatch',
  501: 'Io',
  502: 'DiskFull',
  503: 'OutcomeUnknown',
  504: 'WritesStopped',
  601: 'TransactionTooLarge',
  602: 'Full',
  603: 'SnapshotTooOld',
  604: 'MemtableFull',
  901: 'Internal',
};

/** What every error of NyroDB is. */
class NyroError extends Error {
  constructor(errno, kind, message, options) {
    super(message, options);
    /** The number, stable for ever: 205. */
    this.errno = errno;
    /** Its name: "DuplicateId". */
    this.code = NAMES[errno] ?? 'Unknown';
    /** The kind, after which the class is named: "Exists". */
    this.kind = kind;
  }

  get name() {
    return this.constructor.name;
  }
}

class InvalidArgumentError extends NyroError {}
class InvalidDocumentError extends NyroError {}
class ExistsError extends NyroError {}
class NotFoundError extends NyroError {}
class BusyError extends NyroError {}
class CorruptError extends NyroError {}
class UnsupportedError extends NyroError {}
class IoError extends NyroError {}
class FullError extends NyroError {}
class ClosedError extends NyroError {}
class CancelledError extends NyroError {}
class InternalError extends NyroError {}

const CLASSES = {
  InvalidArgument: InvalidArgumentError,
  InvalidDocument: InvalidDocumentError,
  Exists: ExistsError,
  NotFound: NotFoundError,
  Busy: BusyError,
  Corrupt: CorruptError,
  Unsupported: UnsupportedError,
  Io: IoError,
  Full: FullError,
  Closed: ClosedError,
  Cancelled: CancelledError,
  Internal: InternalError,
};

/** An error of a number and a kind. */
function make(errno, kind, message, options) {
  return new (CLASSES[kind] ?? NyroError)(errno, kind, message, options);
}

/** An error as the native half tells it: [number, kind, text, inserted, [place, number, text, ..]]. */
function ofParts([errno, kind, message, inserted, flat]) {
  const error = make(errno, kind, message);
  if (inserted >= 0) {
    error.insertedCount = inserted;
    error.failures = [];
    for (let i = 0; i < flat.length; i += 3) {
      error.failures.push({ index: flat[i], errno: flat[i + 1], code: NAMES[flat[i + 1]], message: flat[i + 2] });
    }
  }
  return error;
}

const argument = (message) => make(101, 'InvalidArgument', `invalid argument: ${message}`);
const closed = () => make(103, 'Closed', 'the database, or this handle, is closed; open it again');
const nested = () =>
  make(104, 'InvalidArgument', 'a write transaction is open on this thread; use its collections (tx.collection)');
const serialization = (message) => make(206, 'InvalidDocument', `the value does not fit a document: ${message}`);
const tooDeep = () =>
  make(203, 'InvalidDocument', 'the document nests deeper than 100 levels (or contains itself); flatten it');
const tooLarge = () => make(202, 'InvalidDocument', 'the document is too large; split it');
const keyTooLarge = (length) =>
  make(211, 'InvalidDocument', `the key is ${length} long; the limit is 65535 bytes: use a shorter one, or a hash of it`);
const valueTooLarge = (length) =>
  make(212, 'InvalidDocument', `the value is ${length} long, more than maxDocumentBytes can be: cut it up`);
const missing = (path) => make(405, 'NotFound', `${path} does not exist; leave out createIfMissing: false to make it`);
const malformed = (message) => make(201, 'InvalidDocument', `malformed document: ${message}`);
const invalidId = (message) => make(204, 'InvalidDocument', `invalid _id: ${message}`);

/** Numbers of all errors by name. */
const codes = Object.freeze(Object.fromEntries(Object.entries(NAMES).map(([number, name]) => [name, Number(number)])));

module.exports = {
  NyroError, codes, ofParts, argument, closed, nested, serialization, tooDeep, tooLarge, keyTooLarge, valueTooLarge,
  missing, malformed, invalidId,
  classes: {
    InvalidArgumentError, InvalidDocumentError, ExistsError, NotFoundError, BusyError, CorruptError,
    UnsupportedError, IoError, FullError, ClosedError, CancelledError, InternalError,
  },
};
