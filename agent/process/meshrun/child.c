#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "affinity.h"
#include "text.h"

extern char **environ;

enum { HIGHEST_SIGNAL = 64, CHILD_FAILED = 127 };

/* A terminal that changes no byte: raw, no echo; and no controlling one, so that a program
 * asking for a password fails instead of waiting. */
static int open_terminal(int ends[2]) {
  int unlock = 0;
  struct winsize size = {.ws_row = 24, .ws_col = 80};
  struct termios raw;
  ends[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[0] < 0) return -1;
  if (ioctl(ends[0], TIOCSPTLCK, &unlock) < 0) return -1;
  ends[1] = ioctl(ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[1] < 0) return -1;
  if (tcgetattr(ends[1], &raw) == 0) {
    cfmakeraw(&raw);
    tcsetattr(ends[1], TCSANOW, &raw);
  }
  ioctl(ends[0], TIOCSWINSZ, &size);
  return 0;
}

static void refuse(int gate, struct failure *f) {
  while (write(gate, f, sizeof *f) < 0 && errno == EINTR) {}
  _exit(CHILD_FAILED);
}

static void check(int gate, bool ok, const char *stage, const char *reason, const char *path) {
  if (ok) return;
  struct failure f = {.error = errno};
  strncpy(f.stage, stage, sizeof f.stage - 1);
  strncpy(f.reason, reason, sizeof f.reason - 1);
  strncpy(f.path, path, sizeof f.path - 1);
  refuse(gate, &f);
}

static void default_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int n = 1; n <= HIGHEST_SIGNAL; n++) sigaction(n, &standard, 0);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, 0);
}

static void above_agent(const struct host *h) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, h->child_oom, strlen(h->child_oom)) < 0) {} /* not worth refusing a start for */
  close(fd);
}

/* "openFiles=1024", "lockedMemory=unlimited"; false with errno where it cannot be set: no such name, or above what is allowed. */
static bool limit_by(const char *text) {
  static const struct {
    const char *name;
    int resource;
  } known[] = {
      {"openFiles", RLIMIT_NOFILE},      {"fileSize", RLIMIT_FSIZE},   {"coreSize", RLIMIT_CORE},
      {"lockedMemory", RLIMIT_MEMLOCK}, {"stackSize", RLIMIT_STACK},
  };
  errno = EINVAL;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t n = strlen(known[i].name);
    int64_t value = 0;
    if (strncmp(text, known[i].name, n) != 0 || text[n] != '=') continue;
    bool none = strcmp(text + n + 1, "unlimited") == 0;
    if (!none && !parse_number(text + n + 1, &value)) return false;
    rlim_t limit = none ? RLIM_INFINITY : (rlim_t)value;
    struct rlimit most = {.rlim_cur = limit, .rlim_max = limit};
    return setrlimit(known[i].resource, &most) == 0;
  }
  return false;
}

static void run_child(int gate, const int outputs[2], const struct options *o, const struct host *h) {
  char go;
  ssize_t n;
  setsid();
  default_signals();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  above_agent(h);
  bool ok = dup2(h->null_fd, 0) == 0 && dup2(outputs[0], 1) == 1 && dup2(outputs[1], 2) == 2;
  while ((n = read(gate, &go, 1)) < 0 && errno == EINTR) {}
  if (n != 1) _exit(CHILD_FAILED);
  check(gate, ok, "setup", "descriptors", "");
  if (o->most_processes >= 0) {
    struct rlimit most = {.rlim_cur = (rlim_t)o->most_processes, .rlim_max = (rlim_t)o->most_processes};
    check(gate, setrlimit(RLIMIT_NPROC, &most) == 0, "setup", "most-processes", "");
  }
  for (int i = 0; i < o->rlimit_count; i++) check(gate, limit_by(o->rlimits[i]), "setup", "rlimit", o->rlimits[i]);
  if (o->cpus) check(gate, affinity_bind(o->cpus), "setup", "cpus", o->cpus);
  ok = chdir(o->cwd) == 0;
  check(gate, ok, "cwd", errno == ENOTDIR ? "not-directory" : errno == ENOENT ? "not-found" : "other", o->cwd);
  struct failure f = {0};
  exec_search(o->argv, environ, &f);
  refuse(gate, &f);
}

int child_fork(struct child *c, const struct options *o, const struct host *h, const struct cgroup *g) {
  int gate[2], out[2], err[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate) < 0) return -1;
  if ((o->pty ? open_terminal(out) : pipe2(out, O_CLOEXEC)) < 0) return -1;
  if ((o->pty ? open_terminal(err) : pipe2(err, O_CLOEXEC)) < 0) return -1;
  c->pid = cgroup_fork(g);
  if (c->pid < 0) return -1;
  if (c->pid == 0) {
    close(gate[0]); /* else the gate would not end with the parent */
    run_child(gate[1], (int[]){out[1], err[1]}, o, h);
  }
  close(gate[1]);
  close(out[1]);
  close(err[1]);
  c->gate_fd = gate[0];
  c->output_fds[0] = out[0];
  c->output_fds[1] = err[0];
  for (int i = 0; i < 2; i++) fcntl(c->output_fds[i], F_SETFL, O_NONBLOCK);
  return 0;
}

void child_abandon(struct child *c) {
  if (c->pid <= 0) return;
  kill(c->pid, SIGKILL);
  while (waitpid(c->pid, 0, 0) < 0 && errno == EINTR) {}
}

void child_open_gate(struct child *c) {
  while (send(c->gate_fd, "g", 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

bool child_failure(struct child *c, struct failure *f) {
  return recv(c->gate_fd, f, sizeof *f, MSG_DONTWAIT) == (ssize_t)sizeof *f;
}
