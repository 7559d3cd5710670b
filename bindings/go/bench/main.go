// Command bench measures NyroDB from Go beside bbolt, Badger and Pebble, which store the same documents as
// MessagePack of vmihailenco/msgpack. All run in this process, one after the other, with the same durability:
// what was acknowledged survives a crash of the process, and syncs are left to the system.
//
//	make bench-go          or: go run . [-n 100000] [-rounds 5]
//
// A figure is the processor time of the whole process for one document (threads in the background and the
// garbage collector included), the best of the rounds; the time by the clock is printed beside it.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"time"
)

// batch is how many documents one transaction of InsertMany has.
const batch = 1000

// goal is how many times faster than the best peer NyroDB is to be.
const goal = 2.0

// store is what each engine does. All ids are from 0 to n-1.
type store interface {
	name() string
	open(folder string) error
	// insert writes the people in one transaction.
	insert(people []Person) error
	// get reads a document by its id.
	get(id int64) (Person, error)
	// getAll is many gets in whatever the engine has for that: one transaction, one snapshot.
	getAll(ids []int64, each func(*Person)) error
	// scan reads all documents.
	scan(each func(*Person)) error
	// put writes one document in a transaction of its own.
	put(p *Person) error
	close() error
}

type row struct {
	name    string
	figures []figure
}

type figure struct{ cpu, wall time.Duration }

func main() {
	n := flag.Int("n", 100_000, "documents")
	rounds := flag.Int("rounds", 5, "rounds; the best counts")
	flag.Parse()
	people := make([]Person, *n)
	for i := range people {
		people[i] = person(i)
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(*n)
	stores := []store{&nyroStore{}, &bboltStore{}, &badgerStore{}, &pebbleStore{}}
	rows := []row{
		{name: "InsertMany, batches of 1000"}, {name: "Get -> struct"}, {name: "Get -> struct, one transaction"},
		{name: "Scan -> structs"}, {name: "Put, one document a commit"},
	}
	for _, s := range stores {
		fmt.Fprintf(os.Stderr, "%s ..\n", s.name())
		for i, f := range measure(s, people, order, *rounds) {
			rows[i].figures = append(rows[i].figures, f)
		}
	}
	print(stores, rows, *n)
}

func measure(s store, people []Person, order []int, rounds int) []figure {
	best := make([]figure, 5)
	ids := make([]int64, len(order))
	for i, at := range order {
		ids[i] = int64(at)
	}
	for range rounds {
		folder, err := os.MkdirTemp("", "nyro-bench-")
		must(err)
		must(s.open(folder))
		keep := func(row, n int, work func()) {
			runtime.GC()
			f := timed(n, work)
			if best[row].cpu == 0 || f.cpu < best[row].cpu {
				best[row] = f
			}
		}
		keep(0, len(people), func() {
			for from := 0; from < len(people); from += batch {
				must(s.insert(people[from:min(from+batch, len(people))]))
			}
		})
		keep(1, len(ids), func() {
			for _, id := range ids {
				p, err := s.get(id)
				must(err)
				same(&p, id)
			}
		})
		keep(2, len(ids), func() {
			i := 0
			must(s.getAll(ids, func(p *Person) { same(p, ids[i]); i++ }))
		})
		keep(3, len(people), func() {
			seen := 0
			must(s.scan(func(p *Person) { same(p, p.ID); seen++ }))
			if seen != len(people) {
				panic(fmt.Sprint(s.name(), " scanned ", seen))
			}
		})
		keep(4, len(ids)/10, func() {
			for _, id := range ids[:len(ids)/10] {
				must(s.put(&people[id]))
			}
		})
		must(s.close())
		must(os.RemoveAll(folder))
	}
	return best
}

// same keeps all from measuring something that was not read.
func same(p *Person, id int64) {
	if p.ID != id || p.Name == "" || p.Address.Street == "" || len(p.Tags) == 0 {
		panic(fmt.Sprintf("document %d came back as %+v", id, *p))
	}
}

func timed(n int, work func()) figure {
	cpu, wall := cpuTime(), time.Now()
	work()
	return figure{(cpuTime() - cpu) / time.Duration(n), time.Since(wall) / time.Duration(n)}
}

// cpuTime is the processor time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func print(stores []store, rows []row, n int) {
	fmt.Printf("%d documents; ns of processor time for one (by the clock)\n\n| |", n)
	for _, s := range stores {
		fmt.Printf(" %s |", s.name())
	}
	fmt.Printf(" best peer / NyroDB | goal |\n|---|")
	for range stores {
		fmt.Print("---|")
	}
	fmt.Println("---|---|")
	for _, r := range rows {
		fmt.Printf("| %s |", r.name)
		peer := time.Duration(0)
		for i, f := range r.figures {
			fmt.Printf(" %d (%d) |", f.cpu.Nanoseconds(), f.wall.Nanoseconds())
			if i > 0 && (peer == 0 || f.cpu < peer) {
				peer = f.cpu
			}
		}
		fmt.Printf(" %.2f | %.1f |\n", float64(peer)/float64(r.figures[0].cpu), goal)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
