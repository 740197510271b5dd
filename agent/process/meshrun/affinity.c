#define _GNU_SOURCE
#include "affinity.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "text.h"

static bool parse(const char *list, cpu_set_t *set) {
  CPU_ZERO(set);
  for (const char *at = list; *at;) {
    char *end;
    long from = strtol(at, &end, 10), to = from;
    if (end == at) return false;
    if (*end == '-') {
      at = end + 1;
      to = strtol(at, &end, 10);
      if (end == at) return false;
    }
    if (from < 0 || to < from || to >= CPU_SETSIZE) return false;
    for (long cpu = from; cpu <= to; cpu++) CPU_SET((size_t)cpu, set);
    if (*end && *end != ',') return false;
    at = *end ? end + 1 : end;
  }
  return true;
}

bool affinity_bind(const char *cpus) {
  cpu_set_t set;
  errno = EINVAL;
  return parse(cpus, &set) && sched_setaffinity(0, sizeof set, &set) == 0;
}

/* The main thread first: it makes most others, and one made meanwhile is as its maker. */
bool affinity_bind_process(pid_t pid, const char *cpus) {
  cpu_set_t set;
  struct text path;
  int64_t tid;
  errno = EINVAL;
  if (!parse(cpus, &set) || sched_setaffinity(pid, sizeof set, &set) < 0) return false;
  text_clear(&path);
  text_add(&path, "/proc/");
  text_number(&path, pid);
  text_add(&path, "/task");
  path.bytes[path.length] = 0;
  DIR *tasks = opendir(path.bytes);
  if (!tasks) return false;
  int error = 0;
  for (struct dirent *entry; (entry = readdir(tasks));)
    if (parse_number(entry->d_name, &tid) && sched_setaffinity((pid_t)tid, sizeof set, &set) < 0 && errno != ESRCH && !error)
      error = errno;
  closedir(tasks);
  errno = error;
  return !error;
}
