//go:build linux

package guest

import (
	"runtime"
	"sync"
)

// spareThreads are as many as the loop, the wait for processes and a signal can
// occupy at once, and one more.
const spareThreads = 4

// reserveThreads makes the threads that the agent may need. Later there may be
// no room: a program that fills the sandbox's limit of processes would end an
// agent whose runtime cannot make one.
func reserveThreads() {
	runtime.GOMAXPROCS(1)
	var arrived, spares sync.WaitGroup
	leave := make(chan struct{})
	for range spareThreads {
		arrived.Add(1)
		spares.Go(func() {
			runtime.LockOSThread() // one thread each
			defer runtime.UnlockOSThread()
			arrived.Done()
			<-leave
		})
	}
	arrived.Wait()
	close(leave)
	spares.Wait()
}
