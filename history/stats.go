package history

// Stats is a snapshot of a store.
type Stats struct {
	Runs  int64 // in the file
	Bytes int64 // of them; the file itself is somewhat larger

	Waiting      int   // runs that are not in the file yet
	WaitingBytes int64 // of them, in memory

	Totals
}

// Totals count runs since the store was opened.
type Totals struct {
	Added   uint64 // by Add
	Written uint64 // to the file
	Pruned  uint64 // removed to keep the bounds
	Deleted uint64 // removed by Delete and DeleteAll
	Dropped Dropped
}

// Dropped counts the runs that were not kept, by reason.
type Dropped struct {
	QueueFull uint64 // more waited than the queue holds: the disk is slow
	Disk      uint64 // the disk was full, or failed, or was busy for seconds
	TooLarge  uint64 // beyond MaxRunBytes or MaxIDBytes
	Duplicate uint64 // the ID was there already
	Closed    uint64 // added after Close
}

// Stats returns a snapshot.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Runs: s.runs.Load(), Bytes: s.bytes.Load(),
		Waiting: len(s.waiting), WaitingBytes: s.held,
		Totals: s.total,
	}
}
