// libfuse's low-level interface, 3.14 and newer.
#pragma once
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
