/* affinity: which CPUs processes may run on. A list is text as in cpuset(7): "0-3,8". */
#ifndef MESHRUN_AFFINITY_H
#define MESHRUN_AFFINITY_H
#include <stdbool.h>
#include <sys/types.h>

/* Binds this thread; false with errno. */
bool affinity_bind(const char *cpus);
/* Binds every thread a process has; those it makes later are as the thread that makes them.
 * False with errno, of the first that refused. */
bool affinity_bind_process(pid_t pid, const char *cpus);
#endif
