// Package nyro is NyroDB for Go: an embedded document store. One file, opened inside your own process;
// documents of any shape, found by their _id in O(1); every write atomic and crash-safe; readers that never
// wait.
//
//	type User struct {
//	    ID   int64  `nyro:"_id"`
//	    Name string `nyro:"name"`
//	}
//
//	db, err := nyro.Open("app.nyro", nil)
//	users := nyro.CollectionOf[User](db, "users")
//	_, err = users.Put(ctx, User{ID: 1, Name: "Ada"})
//	ada, found, err := users.Get(1)
//
// # Documents
//
// A document is a struct, a map with string keys, an [M], a [D] (which keeps the order of its fields), or a
// [Raw] (its bytes as they are stored). A field is called as its tag `nyro:"name"` says, or else its json tag,
// or else as in Go. The options ",omitempty" and ",omitzero" both leave out what is zero or has no elements,
// and "-" leaves the field out always. The fields of an embedded struct without a tag are those of the outer
// one. A type with MarshalText and UnmarshalText is a string.
//
// In an any, values come back as nil, bool, int64, uint64 (above the largest int64), float64, string, []byte,
// []any, [M] (in a D: D), [time.Time] or [Ext]. Integers keep their 64 bits. A time.Time keeps its nanoseconds
// and comes back in UTC; its location and monotonic clock are not stored. Reading into a struct, an integer
// that does not fit its field is an error, a null is the zero value, and fields that the struct does not have
// are skipped.
//
// # Keyspaces
//
// A [Keyspace] is an ordered map from bytes to bytes, in the same file and the same transactions as the documents:
// ranges of its keys are read forward and backward, and deleted in a short time whatever their number.
//
// # Waiting
//
// Calls that take a context may wait: for the writer's turn, for the disk, or because they are long. A
// context that is done before such a call has begun to write ends it; see each call. Reads by id take none:
// no writer makes them wait.
//
// # Goroutines
//
// All types may be used by many goroutines at once, except [Tx], [Scan] and [KeyCursor], and what was
// lent by a [Snapshot].
// A handle that was closed answers [ErrClosed] and never crashes.
//
// # Errors
//
// Every error of the database is an [*Error] with a stable number, its [Code]. Use [errors.Is] with the
// sentinels, which are codes, or with a [Kind] where a group of codes will do:
//
//	if errors.Is(err, nyro.ErrDuplicateID) { .. }
//	if errors.Is(err, nyro.KindBusy) { .. }
package nyro
