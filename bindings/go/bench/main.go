package main

import (
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/dgraph-io/badger/v4"
	_ "github.com/vmihailenco/msgpack/v5"
	_ "go.etcd.io/bbolt"
)

func main() {}
