#pragma once

namespace lossc {

// Every access is told to the device, which looks for races where it was asked to; null until then. One device's answer is every device's.
static void (*lossc_touch)(const void* address, int bytes, int how);
#define LOSSC_TOUCH(how, p, bytes) (lossc_touch ? lossc_touch(p, bytes, how) : void())

}  // namespace lossc
