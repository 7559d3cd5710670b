// The same package for `import`.

import nyrodb from './index.cjs';

export const {
  open, restore, repair, version, Database, Collection, Snapshot, SnapshotCollection, Transaction, TransactionCollection,
  Scan, Keyspace, SnapshotKeyspace, TransactionKeyspace, KeyRange, Ext, NyroError, codes, InvalidArgumentError,
  InvalidDocumentError, ExistsError, NotFoundError, BusyError, CorruptError, UnsupportedError, IoError, FullError,
  ClosedError, CancelledError, InternalError,
} = nyrodb;
