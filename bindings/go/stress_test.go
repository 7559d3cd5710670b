//go:build cgo

package nyro_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// account is moved between by transactions, so that the sum of all balances never changes.
type account struct {
	ID      int    `nyro:"_id"`
	Balance int    `nyro:"balance"`
	Note    string `nyro:"note"`
}

func TestManyGoroutinesSeeOnlyWholeTransactions(t *testing.T) {
	const accounts = 100
	db := openNew(t)
	c := nyro.CollectionOf[account](db, "accounts")
	for i := range accounts {
		_, err := c.Put(ctx, account{ID: i, Balance: 100})
		check(t, err)
	}
	end := time.Now().Add(2 * time.Second)
	var wait sync.WaitGroup
	var transfers, sums atomic.Int64
	work := func(n int, step func(r *rand.Rand)) {
		for i := range n {
			wait.Add(1)
			go func() {
				defer wait.Done()
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for time.Now().Before(end) {
					step(r)
				}
			}()
		}
	}
	work(8, func(r *rand.Rand) {
		give := errors.New("changed its mind")
		err := db.Update(ctx, func(tx *nyro.Tx) error {
			in := c.In(tx)
			from, _, err := in.Get(r.IntN(accounts))
			check(t, err)
			to, _, err := in.Get(r.IntN(accounts))
			check(t, err)
			if from.ID == to.ID {
				return nil
			}
			from.Balance--
			to.Balance++
			from.Note = strings.Repeat("n", r.IntN(2000))
			_, err = in.Put(from)
			check(t, err)
			if r.IntN(4) == 0 {
				return give
			}
			_, err = in.Put(to)
			return err
		})
		if err != give {
			check(t, err)
		}
		transfers.Add(1)
	})
	work(4, func(r *rand.Rand) {
		check(t, db.View(func(s *nyro.Snapshot) error {
			sum, n := 0, 0
			for a, err := range c.At(s).All() {
				check(t, err)
				sum += a.Balance
				n++
			}
			if n != accounts || sum != accounts*100 {
				t.Errorf("%d accounts with %d", n, sum)
			}
			return nil
		}))
		sums.Add(1)
	})
	work(4, func(r *rand.Rand) {
		a, found, err := c.Get(r.IntN(accounts))
		check(t, err)
		if !found || strings.Trim(a.Note, "n") != "" {
			t.Errorf("%v %+v", found, a)
		}
	})
	work(4, func(r *rand.Rand) {
		_, err := db.Collection("other").Put(ctx, nyro.M{"_id": r.IntN(1000), "x": fmt.Sprint(r.Int())})
		check(t, err)
	})
	wait.Wait()
	t.Logf("%d transfers, %d sums", transfers.Load(), sums.Load())
	if transfers.Load() == 0 || sums.Load() == 0 {
		t.Error("nothing happened")
	}
}

func TestClosingWhileOthersReadAndWriteIsClean(t *testing.T) {
	for round := range 10 {
		path := filepath.Join(t.TempDir(), "app.nyro")
		db, err := nyro.Open(path, &relaxed)
		check(t, err)
		c := nyro.CollectionOf[account](db, "accounts")
		var all []account
		for i := range 2000 {
			all = append(all, account{ID: i})
		}
		_, err = c.InsertMany(ctx, all, nil)
		check(t, err)
		var wait sync.WaitGroup
		start := func(step func() error) {
			for range 3 {
				wait.Add(1)
				go func() {
					defer wait.Done()
					for {
						if err := step(); err != nil {
							if !errors.Is(err, nyro.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				}()
			}
		}
		start(func() error { _, _, err := c.Get(round); return err })
		start(func() error { return firstError(c.All()) })
		start(func() error { _, err := c.Put(ctx, account{ID: round}); return err })
		start(func() error {
			return db.Update(ctx, func(tx *nyro.Tx) error {
				_, err := c.In(tx).Put(account{ID: round})
				return err
			})
		})
		start(func() error {
			return db.View(func(s *nyro.Snapshot) error {
				_, err := c.At(s).GetMany([]any{1, 2, 3})
				return err
			})
		})
		start(func() error { _, err := db.Stats(); return err })
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		check(t, db.Close())
		wait.Wait()
		check(t, open(t, path).Close())
	}
}

// Ten thousand goroutines that write at once would be ten thousand threads, if all of them waited in C.
func TestWritersWaitInGo(t *testing.T) {
	db := openNew(t)
	c := nyro.CollectionOf[account](db, "accounts")
	var wait sync.WaitGroup
	release := make(chan struct{})
	check(t, db.Update(ctx, func(tx *nyro.Tx) error {
		for i := range 10_000 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				<-release
				_, err := c.Put(ctx, account{ID: i})
				check(t, err)
			}()
		}
		close(release)
		time.Sleep(50 * time.Millisecond)
		return nil
	}))
	wait.Wait()
	if n, err := c.CountDocuments(); n != 10_000 || err != nil {
		t.Error(n, err)
	}
}
