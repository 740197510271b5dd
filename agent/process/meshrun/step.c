#define _GNU_SOURCE
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "child.h"
#include "report.h"
#include "spool.h"
#include "tree.h"

enum phase { RUNNING, LINGER, GRACE, KILLING };
enum { READ_SIZE = 64 << 10, READS_PER_WAKE = 16, FIRST_WAVE_MS = 5, SLOWEST_WAVE_MS = 500 };
enum event { ON_OUTPUT_0, ON_OUTPUT_1, ON_COMMAND, ON_CGROUP, ON_SIGNAL };

#define NEVER INT64_MAX

struct step {
  const struct options *o;
  struct record record;
  struct channel channel;
  struct spool spool;
  struct child child;
  struct ending ending;
  enum phase phase;
  bool main_ended, childless, survivors_told;
  struct scope scope;
  int epoll_fd, signal_fd;
  int64_t begun_us, stop_us, budget_due_us, phase_due_us, patience_due_us, wave_ms;
};

static struct pidset seen; /* every descendant ever signalled: the count in `gone` */
static char buffer[READ_SIZE];

/* ---- output ---- */

/* False when that pipe has ended. */
static bool drain(struct step *s, int which, int most) {
  int fd = s->child.output_fds[which];
  for (int i = 0; i < most; i++) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false; /* EOF; EIO is the terminal's */
    spool_write(&s->spool, which == 0 ? SPOOL_STDOUT : SPOOL_STDERR, buffer, n);
    channel_output(&s->channel, monotonic_us());
    if (n < (ssize_t)sizeof buffer) return true;
  }
  return true;
}

static void on_output(struct step *s, int which) {
  if (drain(s, which, READS_PER_WAKE)) return;
  epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->child.output_fds[which], 0);
}

/* With nobody left to write, what is in the pipes is all there will ever be: also what a
 * process wrote that was reaped along with the one that woke us. */
static void drain_rest(struct step *s) {
  for (int which = 0; which < 2; which++)
    for (ssize_t n; (n = read(s->child.output_fds[which], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
      if (n > 0) spool_write(&s->spool, which == 0 ? SPOOL_STDOUT : SPOOL_STDERR, buffer, n);
  spool_finish(&s->spool);
}

/* ---- record ---- */

static void append(struct step *s, struct text *line) {
  if (record_append(&s->record, line)) channel_record(&s->channel);
  else channel_lost_line(&s->channel, line->bytes, line->length);
}

/* ---- stopping ---- */

static void kill_wave(struct step *s) {
  int64_t now = monotonic_us();
  bool first = s->phase != KILLING;
  if (first) {
    s->phase = KILLING;
    s->wave_ms = FIRST_WAVE_MS;
    s->patience_due_us = now + s->o->patience_ms * 1000;
  }
  s->ending.waves++;
  bool populated = cgroup_state(&s->scope.cgroup) == CGROUP_POPULATED;
  bool by_kernel = populated && cgroup_kill(&s->scope.cgroup);
  if (populated) s->ending.signal = SIGKILL;
  /* What has left the cgroup is a descendant still; it is walked to if the first wave left any. */
  if ((!by_kernel || !first) && tree_kill(&seen, &s->scope) > 0) s->ending.signal = SIGKILL;
  s->phase_due_us = now + s->wave_ms * 1000;
  if (s->wave_ms < SLOWEST_WAVE_MS) s->wave_ms *= 2;
}

static void begin_stop(struct step *s, enum cause cause, int64_t grace_ms) {
  int64_t now = monotonic_us();
  bool first = s->stop_us == 0;
  if (first) {
    struct text line;
    s->stop_us = now;
    s->ending.cause = cause;
    report_stopping(&line, cause, s->o->stop_signal, grace_ms);
    append(s, &line);
    if (s->o->stop_file) {
      int fd = open(s->o->stop_file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
      if (fd >= 0) close(fd);
    }
  }
  if (s->phase == KILLING) return;
  if (grace_ms <= 0) {
    kill_wave(s);
    return;
  }
  if (first) {
    s->phase_due_us = NEVER;
    s->ending.waves++;
    if (tree_signal(s->o->stop_signal, &seen, &s->scope) > 0) s->ending.signal = s->o->stop_signal;
  }
  s->phase = GRACE;
  if (now + grace_ms * 1000 < s->phase_due_us) s->phase_due_us = now + grace_ms * 1000;
}

static void tell_survivors(struct step *s) {
  static struct pidset left;
  struct text line;
  s->survivors_told = true;
  pidset_clear(&left);
  tree_walk(&left, &s->scope);
  report_survivors(&line, left.list, left.count);
  append(s, &line);
}

static void on_command(struct step *s) {
  char line[64];
  int64_t grace;
  while (channel_command(&s->channel, line)) {
    if (strcmp(line, "kill") == 0) begin_stop(s, CAUSE_STOP, 0);
    else if (strcmp(line, "stop") == 0) begin_stop(s, CAUSE_STOP, s->o->grace_ms);
    else if (strncmp(line, "stop ", 5) == 0 && parse_number(line + 5, &grace)) begin_stop(s, CAUSE_STOP, grace);
  }
}

/* ---- reaping ---- */

static void main_ended(struct step *s, int status, const struct rusage *usage) {
  struct text line;
  struct failure failure;
  s->main_ended = true;
  if (child_failure(&s->child, &failure)) report_exec_failed(&line, &failure);
  else report_exited(&line, status, usage, monotonic_us() - s->begun_us, s->ending.cause);
  append(s, &line);
}

static bool is_gone(struct step *s) { return s->childless && cgroup_state(&s->scope.cgroup) != CGROUP_POPULATED; }

static void linger(struct step *s) {
  if (s->phase != RUNNING) return;
  s->phase = LINGER;
  s->phase_due_us = monotonic_us() + s->o->linger_ms * 1000;
}

static void reap(struct step *s) {
  int status;
  struct rusage usage;
  for (;;) {
    pid_t pid = wait4(-1, &status, WNOHANG | __WALL, &usage);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) s->childless = errno == ECHILD;
    if (pid <= 0) break;
    s->ending.reaped++;
    if (pid == s->child.pid) main_ended(s, status, &usage);
  }
  if (s->main_ended && !is_gone(s)) linger(s);
}

static void on_signal(struct step *s) {
  struct signalfd_siginfo info;
  while (read(s->signal_fd, &info, sizeof info) == sizeof info)
    if (info.ssi_signo != SIGCHLD) begin_stop(s, CAUSE_STOP, s->o->grace_ms);
  reap(s);
}

/* ---- the loop ---- */

static void on_time(struct step *s) {
  int64_t now = monotonic_us();
  if (now >= s->budget_due_us) {
    s->budget_due_us = NEVER;
    if (!s->main_ended) begin_stop(s, CAUSE_DEADLINE, s->o->grace_ms);
  }
  if (now >= s->phase_due_us) kill_wave(s);
  if (s->phase == KILLING && !s->survivors_told && now >= s->patience_due_us) tell_survivors(s);
}

static int wait_ms(struct step *s) {
  int64_t now = monotonic_us(), due = s->budget_due_us;
  if (s->phase_due_us < due) due = s->phase_due_us;
  int64_t output_due = channel_due(&s->channel, now);
  if (output_due >= 0 && output_due < due) due = output_due;
  if (due == NEVER) return -1;
  if (due <= now) return 0;
  int64_t ms = (due - now + 999) / 1000;
  return ms > 1000000 ? 1000000 : (int)ms;
}

static void loop(struct step *s) {
  struct epoll_event events[8];
  while (!is_gone(s)) {
    int n = epoll_wait(s->epoll_fd, events, 8, wait_ms(s));
    on_time(s);
    bool signalled = false;
    for (int i = 0; i < n; i++) switch (events[i].data.u32) {
        case ON_OUTPUT_0: case ON_OUTPUT_1: on_output(s, (int)events[i].data.u32); break;
        case ON_COMMAND: on_command(s); break;
        case ON_CGROUP: cgroup_state(&s->scope.cgroup); break; /* reading it ends the event */
        default: signalled = true;
      }
    if (signalled) on_signal(s);
  }
}

static bool watch(struct step *s, int fd, enum event what) {
  struct epoll_event e = {.events = what == ON_CGROUP ? EPOLLPRI : EPOLLIN, .data.u32 = what};
  return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

/* 0, or what kept it from being limited; without a limit the step may do without a cgroup. */
static const char *enter_cgroup(struct step *s, const struct options *o) {
  struct cgroup *g = &s->scope.cgroup;
  cgroup_none(g);
  g->no_kill = o->no_cgroup_kill;
  if (!o->cgroup) return 0;
  if (cgroup_make(g, o->cgroup) < 0) return o->limit_count ? "cgroup" : 0;
  for (int i = 0; i < o->limit_count; i++)
    if (!cgroup_set(g, o->limits[i])) return "cgroup limit";
  return 0;
}

static bool begin_child(struct step *s, const struct options *o, const struct host *h) {
  if (child_fork(&s->child, o, h, &s->scope.cgroup) == 0) return true;
  if (s->scope.cgroup.fd < 0 || o->limit_count) return false;
  return cgroup_remove(&s->scope.cgroup) && child_fork(&s->child, o, h, &s->scope.cgroup) == 0;
}

static const char *prepare(struct step *s, const struct options *o, const struct host *h) {
  sigset_t mask;
  if (o->make && mkdir(o->make, 0777) < 0 && errno != EEXIST) return "attempt folder";
  int step_fd = open(o->step, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (step_fd < 0) return "step folder";
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return "subreaper";
  if (channel_open(&s->channel, step_fd) < 0) return "fifos";
  if (record_take(&s->record, step_fd, o->cookie) < 0) return "record";
  spool_open(&s->spool, step_fd, o->limit_bytes);
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  s->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (s->signal_fd < 0 || s->epoll_fd < 0) return "epoll";
  const char *wrong = enter_cgroup(s, o);
  if (wrong) return wrong;
  if (!begin_child(s, o, h)) return "fork";
  if (s->scope.cgroup.fd >= 0 && !watch(s, s->scope.cgroup.events_fd, ON_CGROUP)) return "epoll";
  if (!watch(s, s->signal_fd, ON_SIGNAL) || !watch(s, s->channel.ctl_fd, ON_COMMAND) ||
      !watch(s, s->child.output_fds[0], ON_OUTPUT_0) || !watch(s, s->child.output_fds[1], ON_OUTPUT_1))
    return "epoll";
  return 0;
}

/* False if somebody was put into the cgroup since it was seen empty. */
static bool let_go(struct step *s) {
  struct cgroup *g = &s->scope.cgroup;
  s->ending.by_cgroup = cgroup_state(g) == CGROUP_EMPTY;
  s->ending.oom_kills = cgroup_oom_kills(g);
  if (cgroup_remove(g) || cgroup_state(g) != CGROUP_POPULATED) return true;
  linger(s);
  return false;
}

int step_run(const struct options *o, const struct host *h, struct starter starter) {
  static struct step s;
  struct text line;
  s.o = o;
  s.scope.indirect = o->no_children_file || !tree_has_children_files();
  cgroup_none(&s.scope.cgroup);
  s.phase_due_us = s.budget_due_us = NEVER;
  const char *wrong = prepare(&s, o, h);
  if (!wrong) {
    report_started(&line, s.child.pid, o, h, &s.scope.cgroup);
    if (!record_append(&s.record, &line)) wrong = "record";
    else channel_started(&s.channel);
  }
  report_start(starter.fd, starter.id, (struct start){s.child.pid, s.scope.cgroup.fd >= 0, wrong});
  if (wrong) { /* the gate was never opened */
    child_abandon(&s.child);
    cgroup_remove(&s.scope.cgroup);
    return EXIT_NOT_STARTED;
  }
  s.begun_us = monotonic_us();
  if (o->budget_ms >= 0) s.budget_due_us = s.begun_us + o->budget_ms * 1000;
  child_open_gate(&s.child);
  do loop(&s);
  while (!let_go(&s));
  drain_rest(&s);
  s.ending.processes = seen.count > s.ending.reaped ? seen.count : s.ending.reaped;
  s.ending.gone_us = s.stop_us ? monotonic_us() - s.stop_us : -1;
  report_gone(&line, &s.ending, &s.spool);
  append(&s, &line);
  channel_close(&s.channel);
  return s.record.lost ? EXIT_RECORD_LOST : 0;
}
