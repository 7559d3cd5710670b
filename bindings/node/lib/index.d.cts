/// <reference lib="esnext.disposable" />
/// <reference types="node" />

/** An id: an integer (a BigInt beyond 2^53), a string, or bytes (at most 1 024). */
export type Id = number | bigint | string | Uint8Array;

/** What a field can hold. `undefined` is left out of objects and is null in arrays. */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | Uint8Array
  | Ext
  | readonly Value[]
  | { readonly [key: string]: Value };

/** A document whose type nobody has told. */
export interface Document {
  _id?: Id;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [key: string]: any;
}

/** Any object type can be a document's: interfaces as well. What can't be stored is refused when it is. */
export type AnyDocument = object;

/** The id of a document type: that of its `_id`, or any. */
export type IdOf<T> = T extends { _id?: infer I } ? Extract<I, Id> : Id;

/** A document as it is given back: with its `_id`. */
export type Stored<T> = T extends { _id?: infer I } ? T & { _id: Exclude<I, undefined> } : T & { _id: Id };

/** A document to be stored: it may leave out `_id` where that is an integer, which is assigned then. */
export type New<T> = T extends { _id: infer I }
  ? number extends I
    ? Omit<T, '_id'> & { _id?: I }
    : T
  : T;

/** How a database is opened. */
export interface Options {
  /** Make the file if there is none. Default: true. */
  create?: boolean;
  /** Open for reading only, beside other readers. Default: false. */
  readOnly?: boolean;
  /**
   * When a commit is acknowledged: "sync" (default) when it is on the disk, "manual" when `sync()` is up to you, an
   * interval in milliseconds when syncs follow by themselves.
   */
  durability?: 'sync' | 'manual' | 'interval' | number | { interval: number };
  /** Memory for what is committed and not in the file yet, in bytes. Default: 512 MiB. */
  cacheBytes?: number;
  /** Bytes of log from which on writers are slowed down. Default: 128 MiB. */
  logMaxBytes?: number;
  /** How long a write waits for the writer's turn. Default: 60 000 ms. */
  writerTimeoutMs?: number;
  /** Largest document in bytes. Default: 16 MiB; at most 30 MiB. */
  maxDocumentBytes?: number;
  /** "mapped" (default) or "pread", with which a failing disk is an error and no signal. */
  readMode?: 'mapped' | 'pread';
  /** Snapshots, scans and ranges older than this are ended. Default: none are. */
  snapshotMaxAgeMs?: number;
  /** Open a file on a network file system, where locks and syncs can't be relied on. Default: false. */
  allowNetworkFileSystem?: boolean;
}

/** How far a long call is. */
export interface Progress {
  phase: string;
  done: number;
  /** 0 where it is not known. */
  total: number;
  /** "pages", "bytes", "documents". */
  unit: string;
}

/** What long calls take. */
export interface CallOptions {
  /** Stops the call: it is rejected with the error `Cancelled`, whose `cause` is the signal's reason. */
  signal?: AbortSignal;
  /** Told from time to time. What it throws stops the call. */
  onProgress?: (progress: Progress) => void;
  /** The call is rejected with the error `DeadlineExceeded` if it takes longer. */
  timeoutMs?: number;
}

export interface InsertManyOptions {
  /** Stop at the first failure and keep what came before it (true, the default), or insert all but the failures. */
  ordered?: boolean;
  /** Keep nothing if any document fails. Default: false. */
  atomic?: boolean;
}

export interface InsertOneResult<I = Id> {
  insertedId: I;
}

export interface InsertManyResult<I = Id> {
  insertedIds: I[];
}

export interface ReplaceResult {
  /** 1 if there was a document with this id, else 0. */
  matchedCount: number;
  modifiedCount: number;
}

/** A report or figures: numbers by name. */
export interface Report {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [name: string]: any;
}

export interface VerifyReport extends Report {
  readonly documents: number;
  readonly collections: number;
}

/** What reading offers. */
export interface ReadableCollection<T extends AnyDocument = Document>
  extends Iterable<Stored<T>>,
    AsyncIterable<Stored<T>> {
  readonly name: string;
  /** The document with this id, or undefined. Synchronous; never waits for writers. */
  get(id: IdOf<T>): Stored<T> | undefined;
  /** The document's bytes as MessagePack, or undefined. */
  getRaw(id: IdOf<T>): Uint8Array | undefined;
  /** The documents with these ids, in their order; undefined for each that is not there. All as of one commit. */
  getMany(ids: Iterable<IdOf<T>>): (Stored<T> | undefined)[];
  contains(id: IdOf<T>): boolean;
  /** The number of documents, exact and cheap. */
  countDocuments(): number;
  estimatedDocumentCount(): number;
  /** All documents as of now, in the order they were last written; with `after`, those behind that token. */
  scan(options?: { after?: number | bigint }): Scan<Stored<T>>;
}

/** A collection. It is a name: cheap, and made by its first write. */
export class Collection<T extends AnyDocument = Document> implements ReadableCollection<T> {
  private constructor();
  readonly name: string;
  get(id: IdOf<T>): Stored<T> | undefined;
  getRaw(id: IdOf<T>): Uint8Array | undefined;
  getMany(ids: Iterable<IdOf<T>>): (Stored<T> | undefined)[];
  contains(id: IdOf<T>): boolean;
  countDocuments(): number;
  estimatedDocumentCount(): number;
  scan(options?: { after?: number | bigint }): Scan<Stored<T>>;
  [Symbol.iterator](): Iterator<Stored<T>>;
  [Symbol.asyncIterator](): AsyncIterator<Stored<T>>;

  /** Inserts the document, or replaces the one with its `_id`. Resolves to its id once it is committed. */
  put(document: New<T>): Promise<IdOf<T>>;
  putSync(document: New<T>): IdOf<T>;
  /** `put` of bytes that are MessagePack already. */
  putRaw(bytes: Uint8Array): Promise<IdOf<T>>;
  putRawSync(bytes: Uint8Array): IdOf<T>;
  /** Inserts a document. Error: `DuplicateId`. */
  insertOne(document: New<T>): Promise<InsertOneResult<IdOf<T>>>;
  insertOneSync(document: New<T>): InsertOneResult<IdOf<T>>;
  /** Inserts documents in one commit. Error: `BulkWrite`, with `insertedCount` and `failures`. */
  insertMany(documents: Iterable<New<T>>, options?: InsertManyOptions): Promise<InsertManyResult<IdOf<T>>>;
  insertManySync(documents: Iterable<New<T>>, options?: InsertManyOptions): InsertManyResult<IdOf<T>>;
  /** Replaces the document with this id, if there is one. The new one may leave out its `_id`. */
  replaceOne(id: IdOf<T>, document: Omit<T, '_id'> & { _id?: IdOf<T> }): Promise<ReplaceResult>;
  replaceOneSync(id: IdOf<T>, document: Omit<T, '_id'> & { _id?: IdOf<T> }): ReplaceResult;
  /** Deletes the document with this id; whether there was one. */
  delete(id: IdOf<T>): Promise<boolean>;
  deleteSync(id: IdOf<T>): boolean;
}

/** A collection as of a snapshot. */
export class SnapshotCollection<T extends AnyDocument = Document> implements ReadableCollection<T> {
  private constructor();
  readonly name: string;
  get(id: IdOf<T>): Stored<T> | undefined;
  getRaw(id: IdOf<T>): Uint8Array | undefined;
  getMany(ids: Iterable<IdOf<T>>): (Stored<T> | undefined)[];
  contains(id: IdOf<T>): boolean;
  countDocuments(): number;
  estimatedDocumentCount(): number;
  scan(options?: { after?: number | bigint }): Scan<Stored<T>>;
  [Symbol.iterator](): Iterator<Stored<T>>;
  [Symbol.asyncIterator](): AsyncIterator<Stored<T>>;
}

/** A scan: an iterable of both kinds, once. It holds a snapshot until its end, its first error or `close()`. */
export class Scan<T> implements IterableIterator<T>, AsyncIterable<T>, Disposable, AsyncDisposable {
  private constructor();
  /** Where the scan is: `scan({after: token})` goes on behind the last document given, also after reopening. */
  readonly token: number | bigint;
  next(): IteratorResult<T, undefined>;
  return(value?: undefined): IteratorResult<T, undefined>;
  close(): void;
  [Symbol.iterator](): this;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A key or a value, as it is given: text is stored as UTF-8. */
export type Octets = string | Uint8Array;

/** Bounds of keys, in the order of their bytes. A prefix stands alone. */
export type KeyBounds =
  | { gt?: Octets | undefined; gte?: undefined; lt?: Octets | undefined; lte?: undefined; prefix?: undefined }
  | { gt?: Octets | undefined; gte?: undefined; lt?: undefined; lte?: Octets | undefined; prefix?: undefined }
  | { gt?: undefined; gte?: Octets | undefined; lt?: Octets | undefined; lte?: undefined; prefix?: undefined }
  | { gt?: undefined; gte?: Octets | undefined; lt?: undefined; lte?: Octets | undefined; prefix?: undefined }
  | { gt?: undefined; gte?: undefined; lt?: undefined; lte?: undefined; prefix: Octets };

/** What a range gives, besides its bounds. */
export type RangeOptions = KeyBounds & {
  /** From the last key to the first. Default: false. */
  reverse?: boolean;
  /** So many entries at most. Default: all. */
  limit?: number;
};

/** A change of a keyspace, for `batch`. */
export type KeyChange =
  | { type: 'put'; key: Octets; value: Octets }
  | { type: 'del'; key: Octets }
  | ({ type: 'deleteRange' } & KeyBounds)
  | { type: 'clear' };

/** What reading a keyspace offers. Keys and values are Buffers: views of memory that they share with others. */
export interface ReadableKeyspace extends Iterable<[Buffer, Buffer]>, AsyncIterable<[Buffer, Buffer]> {
  readonly name: string;
  /** The value of a key, or undefined. Synchronous; never waits for writers. */
  get(key: Octets): Buffer | undefined;
  /** The values of these keys, in their order; undefined for each that is not there. All as of one commit. */
  getMany(keys: readonly Octets[] | Set<Octets>): (Buffer | undefined)[];
  contains(key: Octets): boolean;
  /** The keys between the bounds with their values, as of now; the keys alone, or the values alone. */
  range(options?: RangeOptions & { keys?: true; values?: true }): KeyRange<[Buffer, Buffer]>;
  range(options: RangeOptions & ({ keys?: true; values: false } | { keys: false; values?: true })): KeyRange<Buffer>;
  /** The first key and its value. */
  first(): [Buffer, Buffer] | undefined;
  /** The last key and its value. */
  last(): [Buffer, Buffer] | undefined;
}

/** An ordered map of bytes: keys of up to 65 535 bytes. It is a name: cheap, and made by its first write. */
export class Keyspace implements ReadableKeyspace {
  private constructor();
  readonly name: string;
  get(key: Octets): Buffer | undefined;
  getMany(keys: readonly Octets[] | Set<Octets>): (Buffer | undefined)[];
  contains(key: Octets): boolean;
  /** The number of keys, about: one that was changed since counts again until its runs are merged. */
  estimatedCount(): number;
  range(options?: RangeOptions & { keys?: true; values?: true }): KeyRange<[Buffer, Buffer]>;
  range(options: RangeOptions & ({ keys?: true; values: false } | { keys: false; values?: true })): KeyRange<Buffer>;
  first(): [Buffer, Buffer] | undefined;
  last(): [Buffer, Buffer] | undefined;
  [Symbol.iterator](): Iterator<[Buffer, Buffer]>;
  [Symbol.asyncIterator](): AsyncIterator<[Buffer, Buffer]>;

  /** Gives a key a value, whether it had one or not. Errors: `KeyTooLarge`, `ValueTooLarge`, `OtherKind`. */
  put(key: Octets, value: Octets): Promise<void>;
  putSync(key: Octets, value: Octets): void;
  /** Deletes a key, whether it is there or not. */
  delete(key: Octets): Promise<void>;
  deleteSync(key: Octets): void;
  /** Deletes the keys between the bounds, in a short time whatever their number. At least one bound is given. */
  deleteRange(bounds: KeyBounds): Promise<void>;
  deleteRangeSync(bounds: KeyBounds): void;
  /** Deletes all keys, in the same short time. */
  clear(): Promise<void>;
  clearSync(): void;
  /** Makes changes in their order: all, or none. */
  batch(changes: Iterable<KeyChange>): Promise<void>;
  batchSync(changes: Iterable<KeyChange>): void;
}

/** A keyspace as of a snapshot. */
export class SnapshotKeyspace implements ReadableKeyspace {
  private constructor();
  readonly name: string;
  get(key: Octets): Buffer | undefined;
  getMany(keys: readonly Octets[] | Set<Octets>): (Buffer | undefined)[];
  contains(key: Octets): boolean;
  estimatedCount(): number;
  range(options?: RangeOptions & { keys?: true; values?: true }): KeyRange<[Buffer, Buffer]>;
  range(options: RangeOptions & ({ keys?: true; values: false } | { keys: false; values?: true })): KeyRange<Buffer>;
  first(): [Buffer, Buffer] | undefined;
  last(): [Buffer, Buffer] | undefined;
  [Symbol.iterator](): Iterator<[Buffer, Buffer]>;
  [Symbol.asyncIterator](): AsyncIterator<[Buffer, Buffer]>;
}

/** A keyspace inside a transaction. It sees what the transaction has written; so do its ranges, beyond their places. */
export class TransactionKeyspace implements ReadableKeyspace {
  private constructor();
  readonly name: string;
  get(key: Octets): Buffer | undefined;
  getMany(keys: readonly Octets[] | Set<Octets>): (Buffer | undefined)[];
  contains(key: Octets): boolean;
  range(options?: RangeOptions & { keys?: true; values?: true }): KeyRange<[Buffer, Buffer]>;
  range(options: RangeOptions & ({ keys?: true; values: false } | { keys: false; values?: true })): KeyRange<Buffer>;
  first(): [Buffer, Buffer] | undefined;
  last(): [Buffer, Buffer] | undefined;
  [Symbol.iterator](): Iterator<[Buffer, Buffer]>;
  [Symbol.asyncIterator](): AsyncIterator<[Buffer, Buffer]>;
  put(key: Octets, value: Octets): void;
  delete(key: Octets): void;
  deleteRange(bounds: KeyBounds): void;
  clear(): void;
  /** Makes changes in their order. Those before one that fails stay, unless the transaction is rolled back. */
  batch(changes: Iterable<KeyChange>): void;
}

/**
 * A range: an iterable of both kinds, once. It holds a snapshot until the end of a loop, its error there, or `close()`. Who
 * calls `next()` may go elsewhere with `seek`, also at the end, and closes it.
 */
export class KeyRange<T = [Buffer, Buffer]> implements Iterable<T>, AsyncIterable<T>, Disposable, AsyncDisposable {
  private constructor();
  next(): IteratorResult<T, undefined>;
  return(value?: undefined): IteratorResult<T, undefined>;
  /**
   * Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it (in reverse: before
   * it). From a key outside of the bounds it goes to the nearest one inside. A limit counts what is given in all.
   */
  seek(key: Octets): void;
  close(): void;
  [Symbol.iterator](): IterableIterator<T>;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The whole database as of one commit. While one is open, the file may grow: close it when you are done. */
export class Snapshot implements Disposable, AsyncDisposable {
  private constructor();
  /** The commit that it shows. */
  readonly commit: number | bigint;
  collection<T extends AnyDocument = Document>(name: string): SnapshotCollection<T>;
  keyspace(name: string): SnapshotKeyspace;
  collectionNames(): string[];
  keyspaceNames(): string[];
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A collection inside a transaction. It sees what the transaction has written. */
export class TransactionCollection<T extends AnyDocument = Document> {
  private constructor();
  readonly name: string;
  get(id: IdOf<T>): Stored<T> | undefined;
  contains(id: IdOf<T>): boolean;
  put(document: New<T>): IdOf<T>;
  putRaw(bytes: Uint8Array): IdOf<T>;
  insertOne(document: New<T>): InsertOneResult<IdOf<T>>;
  replaceOne(id: IdOf<T>, document: Omit<T, '_id'> & { _id?: IdOf<T> }): ReplaceResult;
  delete(id: IdOf<T>): boolean;
}

/** A write transaction, inside `Database.write`. */
export class Transaction {
  private constructor();
  collection<T extends AnyDocument = Document>(name: string): TransactionCollection<T>;
  keyspace(name: string): TransactionKeyspace;
  createCollection(name: string): void;
  renameCollection(from: string, to: string): void;
  dropCollection(name: string): boolean;
  renameKeyspace(from: string, to: string): void;
  dropKeyspace(name: string): boolean;
}

/** An open database. */
export class Database implements Disposable, AsyncDisposable {
  private constructor();
  /** False once `close` was called. */
  readonly isOpen: boolean;
  collection<T extends AnyDocument = Document>(name: string): Collection<T>;
  /** A keyspace: an ordered map of bytes. */
  keyspace(name: string): Keyspace;
  /**
   * Runs `body` as one transaction: committed when it returns, rolled back when it throws. It is synchronous: a
   * promise that it returns is an error, and nothing is kept.
   */
  write<R>(body: (tx: Transaction) => R extends PromiseLike<unknown> ? never : R): R;
  /** The whole database as of now. */
  snapshot(): Snapshot;
  collectionNames(): string[];
  keyspaceNames(): string[];
  /** Figures as of now. */
  stats(): Report;
  /** The named backups that the database remembers, the newest first. */
  backups(): { name: string; commit: number; checkpoint: number }[];

  createCollection(name: string): Promise<void>;
  createCollectionSync(name: string): void;
  renameCollection(from: string, to: string): Promise<void>;
  renameCollectionSync(from: string, to: string): void;
  dropCollection(name: string): Promise<boolean>;
  dropCollectionSync(name: string): boolean;
  renameKeyspace(from: string, to: string): Promise<void>;
  renameKeyspaceSync(from: string, to: string): void;
  /** Drops a keyspace with its keys, in a short time whatever their number; whether there was one. */
  dropKeyspace(name: string): Promise<boolean>;
  dropKeyspaceSync(name: string): boolean;
  /** Figures about the levels in which all keyspaces lie. Reads about a hundredth of what they take in the file. */
  keyspaceStats(options?: CallOptions): Promise<Report>;
  keyspaceStatsSync(): Report;

  /** Makes every commit so far durable, whatever the durability. */
  sync(options?: CallOptions): Promise<void>;
  syncSync(): void;
  /** Moves everything from memory and log into the file now. */
  checkpoint(options?: CallOptions): Promise<void>;
  /** Makes the file as small as its documents allow. */
  compact(options?: CallOptions): Promise<Report>;
  /** Checks the whole database. Error: `Corrupt`. */
  verify(options?: CallOptions): Promise<VerifyReport>;
  /** Brings pages into memory, up to `limitBytes`. */
  warmUp(options?: CallOptions & { limitBytes?: number }): Promise<Report>;
  /** Writes a backup to a file: full, or since the one of that name. */
  backup(
    path: string | URL,
    options?: CallOptions & { name?: string; since?: string; overwrite?: boolean },
  ): Promise<Report>;

  /**
   * Ends this handle: what was written before is kept, snapshots and scans end. Closing twice is fine. A close that has
   * begun is not stopped: `signal` and `timeoutMs` have no effect.
   */
  close(options?: CallOptions): Promise<void>;
  closeSync(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A MessagePack extension that is no type of JavaScript, kept as it is. */
export class Ext {
  /** `code` is -128 to 127; 48 to 63 can't be stored. Code -1 is a timestamp. */
  constructor(code: number, bytes: Uint8Array);
  readonly code: number;
  readonly bytes: Uint8Array;
}

/** Opens the database at a path (":memory:" for one in memory), or makes one. Blocks for recovery. */
export function open(path: string | URL, options?: Options): Database;

/** Makes a database at `target` of a full backup and the incremental ones after it. */
export function restore(
  target: string | URL,
  backups: string | URL | readonly (string | URL)[],
  options?: CallOptions & { overwrite?: boolean },
): Promise<VerifyReport>;

/** Makes a new database at `target` of what can be read of a damaged one. */
export function repair(
  damaged: string | URL,
  target: string | URL,
  options?: CallOptions & { overwrite?: boolean; trustUnchecked?: boolean },
): Promise<Report>;

/** The version of this package. */
export const version: string;

/** The name of an error. */
export type ErrorCode =
  | 'InvalidArgument'
  | 'InvalidName'
  | 'Closed'
  | 'NestedTransaction'
  | 'ReadOnly'
  | 'OptionsDiffer'
  | 'RolledBack'
  | 'Cancelled'
  | 'DeadlineExceeded'
  | 'Forked'
  | 'WrongThread'
  | 'MalformedDocument'
  | 'DocumentTooLarge'
  | 'DocumentTooDeep'
  | 'InvalidId'
  | 'DuplicateId'
  | 'Serialization'
  | 'CollectionNotFound'
  | 'CollectionExists'
  | 'IdsExhausted'
  | 'BulkWrite'
  | 'KeyTooLarge'
  | 'ValueTooLarge'
  | 'OtherKind'
  | 'Locked'
  | 'WriterTimeout'
  | 'NotADatabase'
  | 'UnknownFormat'
  | 'Corrupt'
  | 'LogMissing'
  | 'NoSuchFile'
  | 'NetworkFileSystem'
  | 'BackupMismatch'
  | 'Io'
  | 'DiskFull'
  | 'OutcomeUnknown'
  | 'WritesStopped'
  | 'TransactionTooLarge'
  | 'Full'
  | 'SnapshotTooOld'
  | 'MemtableFull'
  | 'Internal';

/** The kind of an error, after which its class is named. */
export type ErrorKind =
  | 'InvalidArgument'
  | 'InvalidDocument'
  | 'Exists'
  | 'NotFound'
  | 'Busy'
  | 'Corrupt'
  | 'Unsupported'
  | 'Io'
  | 'Full'
  | 'Closed'
  | 'Cancelled'
  | 'Internal';

/** What every error of NyroDB is. */
export class NyroError extends Error {
  protected constructor();
  /** The number, stable for ever: 205. */
  readonly errno: number;
  /** Its name: "DuplicateId". */
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly cause?: unknown;
  /** Of `BulkWrite`: how many documents were inserted. */
  readonly insertedCount?: number;
  /** Of `BulkWrite`: what failed, by its place. */
  readonly failures?: { index: number; errno: number; code: ErrorCode; message: string }[];
}

/** The call or one of its arguments is wrong. */
export class InvalidArgumentError extends NyroError {}
/** The document can't be stored as it is. */
export class InvalidDocumentError extends NyroError {}
/** A thing of that name or id is already there. */
export class ExistsError extends NyroError {}
/** The named thing is not there. */
export class NotFoundError extends NyroError {}
/** Somebody else holds what the call needs. */
export class BusyError extends NyroError {}
/** The file is damaged or is not a NyroDB file. */
export class CorruptError extends NyroError {}
/** The file needs a newer program, or the platform lacks something. */
export class UnsupportedError extends NyroError {}
/** The operating system reported an error. */
export class IoError extends NyroError {}
/** No room: on the disk, in the log, in a transaction. */
export class FullError extends NyroError {}
/** The handle was closed. */
export class ClosedError extends NyroError {}
/** The signal or the time limit stopped the call. */
export class CancelledError extends NyroError {}
/** A bug in NyroDB. */
export class InternalError extends NyroError {}

/** Numbers of all errors by name: `codes.DuplicateId` is 205. */
export const codes: { readonly [name in ErrorCode]: number };
