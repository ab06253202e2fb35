package main

// i386 makes a call without arguments by the gate of the 32-bit architecture.
func i386(number uintptr) uintptr
