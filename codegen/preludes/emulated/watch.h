#pragma once

namespace lossc {

// Reports every access to the device, where the device looks for races; null elsewhere. The devices of a process share it.
static void (*lossc_touch)(const void* address, int bytes, int how);
#define LOSSC_TOUCH(how, p, bytes) (lossc_touch ? lossc_touch(p, bytes, how) : void())

}  // namespace lossc
