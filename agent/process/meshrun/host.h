/* host: what is the same for every step this process or its forks run: read once. */
#ifndef MESHRUN_HOST_H
#define MESHRUN_HOST_H
#include <stdint.h>
#include <sys/types.h>

struct host {
  char boot_id[40];
  char child_oom[8]; /* oom_score_adj of children: above the agent's, so that they go first */
  int null_fd;
};

void host_read(struct host *h);
/* Field 22 of /proc/PID/stat, after the last ')'; -1 if the process is gone. */
int64_t start_time_of(pid_t pid);
int64_t monotonic_us(void);
int64_t realtime_ms(void);
/* The text of a small file, ended with 0 and without its last newline; -1 if unreadable. */
int read_small(const char *path, char *into, int size);
#endif
