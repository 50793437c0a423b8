// Everything of CLinux is inline in its header; a target needs one source file.
#include "clinux.h"
