'use strict';
// The package: what is public is this list.

const { open, restore, repair, Database, Snapshot, Transaction } = require('./database.cjs');
const { Collection, SnapshotCollection, TransactionCollection } = require('./collection.cjs');
const { Keyspace, SnapshotKeyspace, TransactionKeyspace } = require('./keyspace.cjs');
const { KeyRange } = require('./range.cjs');
const { Scan } = require('./scan.cjs');
const { Ext } = require('./ext.cjs');
const { NyroError, codes, classes } = require('./errors.cjs');
const { version } = require('../package.json');

module.exports = {
  open,
  restore,
  repair,
  version,
  Database,
  Collection,
  Snapshot,
  SnapshotCollection,
  Transaction,
  TransactionCollection,
  Scan,
  Keyspace,
  SnapshotKeyspace,
  TransactionKeyspace,
  KeyRange,
  Ext,
  NyroError,
  codes,
  InvalidArgumentError: classes.InvalidArgumentError,
  InvalidDocumentError: classes.InvalidDocumentError,
  ExistsError: classes.ExistsError,
  NotFoundError: classes.NotFoundError,
  BusyError: classes.BusyError,
  CorruptError: classes.CorruptError,
  UnsupportedError: classes.UnsupportedError,
  IoError: classes.IoError,
  FullError: classes.FullError,
  ClosedError: classes.ClosedError,
  CancelledError: classes.CancelledError,
  InternalError: classes.InternalError,
};
