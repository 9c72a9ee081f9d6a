package phone

import "time"

// Mark is a place in a list that is ordered by a time and then by an id; the zero Mark is before its beginning.
type Mark struct {
	At time.Time
	ID string
}

// Pruned is what one bounded step of removing old records did.
type Pruned struct {
	Jobs     int
	Requests int  // those that had no job left
	Next     Mark // where the next step begins
	Done     bool // the step reached the end of what is old
}
