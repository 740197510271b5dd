#include "host.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

enum { OOM_ABOVE_AGENT = 500, OOM_MAX = 1000 };

int read_small(const char *path, char *into, int size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, into, (size_t)size - 1);
  close(fd);
  if (n < 0) return -1;
  if (n > 0 && into[n - 1] == '\n') n--;
  into[n] = 0;
  return (int)n;
}

void host_read(struct host *h) {
  char own[16];
  int64_t n = 0;
  if (read_small("/proc/sys/kernel/random/boot_id", h->boot_id, sizeof h->boot_id) < 0) h->boot_id[0] = 0;
  if (read_small("/proc/self/oom_score_adj", own, sizeof own) < 0) own[0] = 0;
  if (own[0] == '-') n = 0;
  else if (!parse_number(own, &n)) n = 0;
  n += OOM_ABOVE_AGENT;
  if (n > OOM_MAX) n = OOM_MAX;
  struct text t;
  text_clear(&t);
  text_number(&t, n);
  memcpy(h->child_oom, t.bytes, t.length);
  h->child_oom[t.length] = 0;
  h->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

int64_t start_time_of(pid_t pid) {
  char stat[1024];
  struct text path;
  text_clear(&path);
  text_add(&path, "/proc/");
  text_number(&path, pid);
  text_add(&path, "/stat");
  path.bytes[path.length] = 0;
  if (read_small(path.bytes, stat, sizeof stat) < 0) return -1;
  char *p = strrchr(stat, ')');
  if (!p) return -1;
  for (int field = 2; field < 22; field++) {
    p = strchr(p + 1, ' ');
    if (!p) return -1;
  }
  char *end = strchr(++p, ' ');
  if (end) *end = 0;
  int64_t ticks;
  return parse_number(p, &ticks) ? ticks : -1;
}

int64_t monotonic_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t realtime_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
