/* report: the wording of the record's lines and of the answer to a start. Every line has
 * `type` and `atMs` (wall clock); durations are monotonic microseconds. */
#ifndef MESHRUN_REPORT_H
#define MESHRUN_REPORT_H
#include <sys/resource.h>

#include "cgroup.h"
#include "child.h"
#include "host.h"
#include "record.h"
#include "spool.h"

enum { EXIT_NOT_STARTED = 70 };
enum cause { CAUSE_NONE, CAUSE_STOP, CAUSE_DEADLINE };

/* What `gone` says beside the output. */
struct ending {
  enum cause cause;
  int64_t reaped, processes, waves, gone_us; /* gone_us: since the stop began, -1 if there was none */
  int signal;                                /* the strongest sent, 0: none */
  bool by_cgroup;                            /* its cgroup was seen empty, beside ECHILD */
  int64_t oom_kills;                         /* -1: not told */
};

/* With the path of the step's cgroup, if it has one: how an agent finds what a meshrun that died left. */
void report_started(struct text *t, pid_t pid, const struct options *o, const struct host *h, const struct cgroup *g);
void report_exec_failed(struct text *t, const struct failure *f);
void report_exited(struct text *t, int status, const struct rusage *u, int64_t duration_us, enum cause cause);
void report_stopping(struct text *t, enum cause cause, int signal_number, int64_t grace_ms);
void report_survivors(struct text *t, const pid_t *pids, int count);
void report_gone(struct text *t, const struct ending *e, const struct spool *s);
/* How a start went: "ready ID PID[ cgroup]\n", or "failed ID ERRNO WHAT\n" where wrong is not 0. */
struct start {
  pid_t pid;
  bool in_cgroup;
  const char *wrong;
};
/* Says it, and closes fd. */
void report_start(int fd, int64_t id, struct start start);
#endif
