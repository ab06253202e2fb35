#include "textflag.h"

// func i386(number uintptr) uintptr
TEXT ·i386(SB), NOSPLIT, $0-16
	MOVQ number+0(FP), AX
	XORQ BX, BX
	INT  $0x80
	MOVQ AX, ret+8(FP)
	RET
