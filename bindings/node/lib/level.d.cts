import { AbstractLevel, type AbstractDatabaseOptions } from 'abstract-level';
import type { Options } from './index.cjs';

/** How a NyroLevel is opened: as a database of abstract-level, and as one of NyroDB. */
export interface NyroLevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, Omit<Options, 'create'> {
  /** The keyspace in the file. Default: "level". */
  keyspace?: string;
}

/** A database of abstract-level over one keyspace of a file. Others, and collections, may be in the same file. */
export class NyroLevel<KDefault = string, VDefault = string> extends AbstractLevel<
  string | Buffer | Uint8Array,
  KDefault,
  VDefault
> {
  /** `location` is the path of the file, or ":memory:". */
  constructor(location: string, options?: NyroLevelOptions<KDefault, VDefault>);
  /** The path of the file. */
  get location(): string;
  /** The name of the keyspace in it. */
  get keyspace(): string;
}
