//go:build cgo

package nyro_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// A process that is killed at any moment loses no write that it was told of, and leaves no half transaction.
// NYRO_KILL_ROUNDS sets how often.
func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("NYRO_KILL_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("NYRO_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("NYRO_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "app.nyro")
	acknowledged := map[int]bool{}
	for round := range rounds {
		child := exec.Command(os.Args[0], "-test.run=^TestChild$")
		child.Env = append(os.Environ(), "NYRO_GO_CHILD=write", "NYRO_GO_PATH="+path, fmt.Sprint("NYRO_GO_FIRST=", round*1_000_000))
		out, err := child.StdoutPipe()
		check(t, err)
		check(t, child.Start())
		kill := time.AfterFunc(time.Duration(50+random.IntN(200))*time.Millisecond, func() { _ = child.Process.Kill() })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if number, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
				n, err := strconv.Atoi(number)
				check(t, err)
				acknowledged[n] = true
			}
		}
		_ = child.Wait()
		kill.Stop()

		db, err := nyro.Open(path, nil)
		check(t, err)
		_, err = db.Verify(ctx, nil)
		check(t, err)
		c, pairs := nyro.CollectionOf[account](db, "one"), nyro.CollectionOf[account](db, "two")
		for n := range acknowledged {
			found, err := c.Contains(n)
			check(t, err)
			if !found {
				t.Fatalf("round %d: %d was acknowledged and is lost", round, n)
			}
		}
		for a, err := range c.All() {
			check(t, err)
			pair, err := pairs.Contains(a.ID)
			check(t, err)
			if pair != (a.ID%2 == 0) {
				t.Fatalf("round %d: half of the transaction of %d", round, a.ID)
			}
		}
		check(t, db.Close())
	}
	t.Logf("%d writes acknowledged in %d rounds", len(acknowledged), rounds)
	if len(acknowledged) < rounds {
		t.Error("hardly anything was written")
	}
}

// TestChild is the other process of some tests; alone it does nothing.
func TestChild(t *testing.T) {
	path := os.Getenv("NYRO_GO_PATH")
	switch os.Getenv("NYRO_GO_CHILD") {
	case "open":
		_, err := nyro.Open(path, nil)
		if e, ok := err.(*nyro.Error); ok {
			fmt.Printf("code %d: %s\n", e.Code, e.Message)
		}
	case "write":
		first, err := strconv.Atoi(os.Getenv("NYRO_GO_FIRST"))
		check(t, err)
		db, err := nyro.Open(path, nil)
		check(t, err)
		one, two := nyro.CollectionOf[account](db, "one"), nyro.CollectionOf[account](db, "two")
		for worker := range 4 {
			go func() {
				for n := first + worker; ; n += 4 {
					var err error
					if n%2 == 0 {
						// In both collections, or in none.
						err = db.Update(ctx, func(tx *nyro.Tx) error {
							if _, err := one.In(tx).Put(account{ID: n}); err != nil {
								return err
							}
							_, err := two.In(tx).Put(account{ID: n})
							return err
						})
					} else {
						_, err = one.Put(ctx, account{ID: n})
					}
					check(t, err)
					os.Stdout.WriteString(fmt.Sprintf("ack %d\n", n))
				}
			}()
		}
		time.Sleep(time.Minute)
	}
}
