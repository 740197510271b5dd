#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SURVIVORS_NAMED = 64 };

/* Its folder's name with that of the folder it is in. */
static const char *step_of(const char *path) {
  const char *at = path + strlen(path);
  for (int parts = 0; at > path; at--)
    if (at[-1] == '/' && ++parts == 2) break;
  return at;
}

void report_started(struct text *t, pid_t pid, const struct options *o, const struct host *h, const struct cgroup *g) {
  record_line(t, "started");
  text_field(t, "pid", pid);
  text_field(t, "startTime", start_time_of(pid));
  text_field(t, "meshrun", getpid());
  text_field(t, "meshrunStartTime", start_time_of(getpid()));
  text_add(t, ",\"bootId\":");
  text_quoted(t, h->boot_id);
  text_add(t, ",\"cookie\":");
  text_quoted(t, o->cookie);
  text_add(t, ",\"step\":");
  text_quoted(t, step_of(o->step));
  if (g->fd < 0) return;
  text_add(t, ",\"cgroup\":");
  text_quoted(t, g->path);
}

void report_exec_failed(struct text *t, const struct failure *f) {
  record_line(t, "exec_failed");
  text_field(t, "errno", f->error);
  text_add(t, ",\"stage\":");
  text_quoted(t, f->stage);
  text_add(t, ",\"reason\":");
  text_quoted(t, f->reason);
  text_add(t, ",\"path\":");
  text_quoted(t, f->path);
}

static int64_t us_of(struct timeval tv) { return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec; }

static void add_cause(struct text *t, enum cause cause) {
  text_flag(t, "stopRequested", cause == CAUSE_STOP);
  text_flag(t, "deadline", cause == CAUSE_DEADLINE);
}

void report_exited(struct text *t, int status, const struct rusage *u, int64_t duration_us, enum cause cause) {
  record_line(t, "exited");
  if (WIFSIGNALED(status)) {
    text_field(t, "signal", WTERMSIG(status));
    text_flag(t, "core", WCOREDUMP(status));
  } else text_field(t, "code", WEXITSTATUS(status));
  text_field(t, "durationUs", duration_us);
  text_field(t, "userUs", us_of(u->ru_utime));
  text_field(t, "systemUs", us_of(u->ru_stime));
  text_field(t, "maxRssKiB", u->ru_maxrss);
  add_cause(t, cause);
}

void report_stopping(struct text *t, enum cause cause, int signal_number, int64_t grace_ms) {
  record_line(t, "stopping");
  add_cause(t, cause);
  text_field(t, "signal", grace_ms > 0 ? signal_number : 9);
  text_field(t, "graceMs", grace_ms);
}

void report_survivors(struct text *t, const pid_t *pids, int count) {
  record_line(t, "survivors");
  text_field(t, "count", count);
  text_add(t, ",\"pids\":[");
  for (int i = 0; i < count && i < SURVIVORS_NAMED; i++) {
    if (i) text_add(t, ",");
    text_number(t, pids[i]);
  }
  text_add(t, "]");
}

void report_gone(struct text *t, const struct ending *e, const struct spool *s) {
  record_line(t, "gone");
  text_flag(t, "empty", true); /* written on ECHILD only */
  if (e->by_cgroup) text_add(t, ",\"proof\":\"cgroup\"");
  if (e->oom_kills >= 0) text_field(t, "oomKills", e->oom_kills);
  text_field(t, "reaped", e->reaped);
  text_field(t, "processes", e->processes);
  text_field(t, "waves", e->waves);
  text_field(t, "signal", e->signal);
  text_field(t, "goneUs", e->gone_us);
  add_cause(t, e->cause);
  text_field(t, "logBytes", s->offset);
  text_field(t, "droppedStdout", s->dropped[SPOOL_STDOUT]);
  text_field(t, "droppedStderr", s->dropped[SPOOL_STDERR]);
  if (s->pending.length) {
    text_field(t, "gapOffset", (int64_t)s->pending.offset);
    text_field(t, "gapLength", (int64_t)s->pending.length);
    text_field(t, "gapErrno", s->pending.error);
  }
}

void report_start(int fd, int64_t id, struct start start) {
  struct text t;
  int error = errno;
  if (fd < 0) return;
  text_clear(&t);
  text_add(&t, start.wrong ? "failed " : "ready ");
  text_number(&t, id);
  text_add(&t, " ");
  text_number(&t, start.wrong ? error : start.pid);
  if (start.wrong || start.in_cgroup) {
    text_add(&t, " ");
    text_add(&t, start.wrong ? start.wrong : "cgroup");
  }
  text_add(&t, "\n");
  if (write(fd, t.bytes, t.length) < 0) {} /* the agent died: the record tells the next one */
  close(fd);
  errno = error;
}
