//go:build cgo

package nyro

// The errors of the database. A test compares them with docs/errors.md.
const (
	// ErrInvalidArgument: an argument is out of its range. The text names the argument and the range.
	ErrInvalidArgument Code = 101
	// ErrInvalidName: a collection name is empty, longer than 255 bytes, holds NUL or `$`, or starts with `system.`.
	ErrInvalidName Code = 102
	// ErrClosed: the database, or the handle, was closed.
	ErrClosed Code = 103
	// ErrNestedTransaction: a write transaction was started inside a write transaction of the same thread.
	ErrNestedTransaction Code = 104
	// ErrReadOnly: a write on a database that was opened for reading only.
	ErrReadOnly Code = 105
	// ErrOptionsDiffer: the same file is already open in this process with other options.
	ErrOptionsDiffer Code = 106
	// ErrRolledBack: the transaction was rolled back at the caller's wish. Update does not give it by itself: return it, or any error.
	ErrRolledBack Code = 107
	// ErrCancelled: a call was stopped by its context, or by its progress callback.
	ErrCancelled Code = 108
	// ErrDeadlineExceeded: a call did not end before the deadline of its context.
	ErrDeadlineExceeded Code = 109
	// ErrForked: the database was opened by the process that this one was forked from; Go programs do not fork.
	ErrForked Code = 110
	// ErrWrongThread: a transaction was used by another thread than the one that began it.
	ErrWrongThread Code = 111
	// ErrMalformedDocument: the bytes are not well-formed MessagePack, or not a map with string keys.
	ErrMalformedDocument Code = 201
	// ErrDocumentTooLarge: the document is larger than `max_document_bytes`.
	ErrDocumentTooLarge Code = 202
	// ErrDocumentTooDeep: the document nests deeper than 100 levels.
	ErrDocumentTooDeep Code = 203
	// ErrInvalidID: `_id` is missing where it is needed, of a wrong type, or longer than 1 024 bytes.
	ErrInvalidID Code = 204
	// ErrDuplicateID: a document with this `_id` is already in the collection.
	ErrDuplicateID Code = 205
	// ErrSerialization: a Go value can't be stored, or what is stored does not fit the Go value.
	ErrSerialization Code = 206
	// ErrCollectionNotFound: a name that must exist does not.
	ErrCollectionNotFound Code = 207
	// ErrCollectionExists: a name that must not exist does.
	ErrCollectionExists Code = 208
	// ErrIDsExhausted: the last integer id was given out; ids must be given by the caller from here on.
	ErrIDsExhausted Code = 209
	// ErrBulkWrite: some documents of a bulk write were not written.
	ErrBulkWrite Code = 210
	// ErrKeyTooLarge: a key of a keyspace is longer than 65 535 bytes.
	ErrKeyTooLarge Code = 211
	// ErrValueTooLarge: a value of a keyspace is larger than `max_document_bytes`.
	ErrValueTooLarge Code = 212
	// ErrOtherKind: the name is that of a keyspace where a collection is wanted, or the other way round.
	ErrOtherKind Code = 213
	// ErrLocked: another process has the file open.
	ErrLocked Code = 301
	// ErrWriterTimeout: the writer lock was not free within `writer_timeout_ms`.
	ErrWriterTimeout Code = 302
	// ErrNotADatabase: the file exists and is not a NyroDB file; nothing was written to it.
	ErrNotADatabase Code = 401
	// ErrUnknownFormat: the file has a format version or a feature that this program does not know.
	ErrUnknownFormat Code = 402
	// ErrCorrupt: a structure of the file is damaged.
	ErrCorrupt Code = 403
	// ErrLogMissing: the file was not closed cleanly and its log is missing or belongs to another file.
	ErrLogMissing Code = 404
	// ErrNoSuchFile: there is no file at this path, and `create` is off.
	ErrNoSuchFile Code = 405
	// ErrNetworkFileSystem: the file lies on a network file system, where locks and syncs can't be relied on.
	ErrNetworkFileSystem Code = 406
	// ErrBackupMismatch: a backup can't be used as asked: it is of another database, or not the next one of its chain.
	ErrBackupMismatch Code = 407
	// ErrIo: the operating system reported an error; nothing was changed.
	ErrIo Code = 501
	// ErrDiskFull: the disk is full; nothing was changed.
	ErrDiskFull Code = 502
	// ErrOutcomeUnknown: a sync failed. Whether the last commits survive is known only after reopening.
	ErrOutcomeUnknown Code = 503
	// ErrWritesStopped: an earlier write or sync failed; this handle reads but no longer writes.
	ErrWritesStopped Code = 504
	// ErrTransactionTooLarge: the transaction is larger than the limit; it was rolled back.
	ErrTransactionTooLarge Code = 601
	// ErrFull: the log is full and no checkpoint succeeds; nothing was changed.
	ErrFull Code = 602
	// ErrSnapshotTooOld: the snapshot is older than the limit that the database was opened with, and was ended.
	ErrSnapshotTooOld Code = 603
	// ErrMemtableFull: the memtable has no room for more, and no checkpoint has folded it.
	ErrMemtableFull Code = 604
	// ErrInternal: a bug in NyroDB. Please report it with the text.
	ErrInternal Code = 901
)

// The kinds of errors.
const (
	// KindInvalidArgument is the kind of ErrInvalidArgument, ErrInvalidName, ErrNestedTransaction, ErrReadOnly, ErrOptionsDiffer, ErrRolledBack, ErrWrongThread, ErrBackupMismatch.
	KindInvalidArgument Kind = iota + 1
	// KindClosed is the kind of ErrClosed, ErrForked, ErrSnapshotTooOld.
	KindClosed
	// KindCancelled is the kind of ErrCancelled, ErrDeadlineExceeded.
	KindCancelled
	// KindInvalidDocument is the kind of ErrMalformedDocument, ErrDocumentTooLarge, ErrDocumentTooDeep, ErrInvalidID, ErrSerialization, ErrKeyTooLarge, ErrValueTooLarge.
	KindInvalidDocument
	// KindExists is the kind of ErrDuplicateID, ErrCollectionExists, ErrOtherKind.
	KindExists
	// KindNotFound is the kind of ErrCollectionNotFound, ErrNoSuchFile.
	KindNotFound
	// KindFull is the kind of ErrIDsExhausted, ErrDiskFull, ErrTransactionTooLarge, ErrFull, ErrMemtableFull.
	KindFull
	// KindBusy is the kind of ErrLocked, ErrWriterTimeout.
	KindBusy
	// KindCorrupt is the kind of ErrNotADatabase, ErrCorrupt, ErrLogMissing.
	KindCorrupt
	// KindUnsupported is the kind of ErrUnknownFormat, ErrNetworkFileSystem.
	KindUnsupported
	// KindIo is the kind of ErrIo, ErrOutcomeUnknown, ErrWritesStopped.
	KindIo
	// KindInternal is the kind of ErrInternal.
	KindInternal
)

var kindNames = [...]string{"", "InvalidArgument", "Closed", "Cancelled", "InvalidDocument", "Exists", "NotFound", "Full", "Busy", "Corrupt", "Unsupported", "Io", "Internal"}

// codeTable has the name and the kind of each code.
var codeTable = map[Code]struct {
	name string
	kind Kind
}{
	ErrInvalidArgument:     {"InvalidArgument", KindInvalidArgument},
	ErrInvalidName:         {"InvalidName", KindInvalidArgument},
	ErrClosed:              {"Closed", KindClosed},
	ErrNestedTransaction:   {"NestedTransaction", KindInvalidArgument},
	ErrReadOnly:            {"ReadOnly", KindInvalidArgument},
	ErrOptionsDiffer:       {"OptionsDiffer", KindInvalidArgument},
	ErrRolledBack:          {"RolledBack", KindInvalidArgument},
	ErrCancelled:           {"Cancelled", KindCancelled},
	ErrDeadlineExceeded:    {"DeadlineExceeded", KindCancelled},
	ErrForked:              {"Forked", KindClosed},
	ErrWrongThread:         {"WrongThread", KindInvalidArgument},
	ErrMalformedDocument:   {"MalformedDocument", KindInvalidDocument},
	ErrDocumentTooLarge:    {"DocumentTooLarge", KindInvalidDocument},
	ErrDocumentTooDeep:     {"DocumentTooDeep", KindInvalidDocument},
	ErrInvalidID:           {"InvalidId", KindInvalidDocument},
	ErrDuplicateID:         {"DuplicateId", KindExists},
	ErrSerialization:       {"Serialization", KindInvalidDocument},
	ErrCollectionNotFound:  {"CollectionNotFound", KindNotFound},
	ErrCollectionExists:    {"CollectionExists", KindExists},
	ErrIDsExhausted:        {"IdsExhausted", KindFull},
	ErrBulkWrite:           {"BulkWrite", KindInvalidDocument},
	ErrKeyTooLarge:         {"KeyTooLarge", KindInvalidDocument},
	ErrValueTooLarge:       {"ValueTooLarge", KindInvalidDocument},
	ErrOtherKind:           {"OtherKind", KindExists},
	ErrLocked:              {"Locked", KindBusy},
	ErrWriterTimeout:       {"WriterTimeout", KindBusy},
	ErrNotADatabase:        {"NotADatabase", KindCorrupt},
	ErrUnknownFormat:       {"UnknownFormat", KindUnsupported},
	ErrCorrupt:             {"Corrupt", KindCorrupt},
	ErrLogMissing:          {"LogMissing", KindCorrupt},
	ErrNoSuchFile:          {"NoSuchFile", KindNotFound},
	ErrNetworkFileSystem:   {"NetworkFileSystem", KindUnsupported},
	ErrBackupMismatch:      {"BackupMismatch", KindInvalidArgument},
	ErrIo:                  {"Io", KindIo},
	ErrDiskFull:            {"DiskFull", KindFull},
	ErrOutcomeUnknown:      {"OutcomeUnknown", KindIo},
	ErrWritesStopped:       {"WritesStopped", KindIo},
	ErrTransactionTooLarge: {"TransactionTooLarge", KindFull},
	ErrFull:                {"Full", KindFull},
	ErrSnapshotTooOld:      {"SnapshotTooOld", KindClosed},
	ErrMemtableFull:        {"MemtableFull", KindFull},
	ErrInternal:            {"Internal", KindInternal},
}

// Name is the name of the code as in docs/errors.md, such as "DuplicateId".
func (c Code) Name() string {
	if entry, ok := codeTable[c]; ok {
		return entry.name
	}
	return "Unknown"
}

// Kind is the kind of the code. A code that this version does not know is [KindInternal].
func (c Code) Kind() Kind {
	if entry, ok := codeTable[c]; ok {
		return entry.kind
	}
	return KindInternal
}

// Error makes a code a sentinel for errors.Is.
func (c Code) Error() string { return "nyro: " + c.Name() }

// String is the name of the kind, such as "Exists".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Unknown"
}

// Error makes a kind a sentinel for errors.Is.
func (k Kind) Error() string { return "nyro: kind " + k.String() }
