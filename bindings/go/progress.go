//go:build cgo

package nyro

/*
#include <stddef.h>
#include <stdint.h>
*/
import "C"

import "runtime/cgo"

// nyroGoProgress is called by a long call as it goes, on its goroutine.
//
//export nyroGoProgress
func nyroGoProgress(context C.uintptr_t, done, total C.uint64_t, phase *C.char, phaseBytes C.size_t,
	unit *C.char, unitBytes C.size_t,
) (stop C.uint32_t) {
	w := cgo.Handle(context).Value().(*watched)
	// A panic must not cross C: it stops the call and goes on when that has returned.
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			stop = 1
		}
	}()
	w.tell(Progress{
		Done: uint64(done), Total: uint64(total),
		Phase: C.GoStringN(phase, C.int(phaseBytes)), Unit: C.GoStringN(unit, C.int(unitBytes)),
	})
	return 0
}
