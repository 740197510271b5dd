#define _GNU_SOURCE
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host.h"
#include "text.h"

/* A step that makes cgroups of its own makes few; who hides deeper is still a descendant. */
enum { DEEPEST = 16, REMOVE_TRIES = 24, KILL_ROUNDS = 24, SMALL_FILE = 4096 };

void cgroup_none(struct cgroup *g) { *g = (struct cgroup){.parent_fd = -1, .fd = -1, .events_fd = -1}; }

static bool write_file(int dir_fd, const char *name, const char *value) {
  int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = write(fd, value, strlen(value));
  int error = errno;
  close(fd);
  errno = error;
  return n >= 0;
}

static int open_dir(int at, const char *name) {
  return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* ---- making it ---- */

static void name_it(struct cgroup *g, const char *dir) {
  struct text t;
  text_clear(&t);
  text_add(&t, "step.");
  text_number(&t, getpid());
  text_add(&t, ".");
  text_number(&t, start_time_of(getpid()));
  t.bytes[t.length] = 0;
  memcpy(g->name, t.bytes, t.length + 1);
  text_clear(&t);
  text_add(&t, dir);
  text_add(&t, "/");
  text_add(&t, g->name);
  t.bytes[t.length] = 0;
  memcpy(g->path, t.bytes, t.length + 1);
}

int cgroup_make(struct cgroup *g, const char *dir) {
  bool no_kill = g->no_kill;
  cgroup_none(g);
  g->no_kill = no_kill;
  if (strlen(dir) + sizeof g->name + 1 > sizeof g->path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  name_it(g, dir);
  g->parent_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (g->parent_fd < 0) return -1;
  bool made = mkdirat(g->parent_fd, g->name, 0755) == 0;
  if (made) g->fd = open_dir(g->parent_fd, g->name);
  if (g->fd >= 0) g->events_fd = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
  if (g->events_fd >= 0) return 0;
  int error = errno;
  if (made) unlinkat(g->parent_fd, g->name, AT_REMOVEDIR);
  if (g->fd >= 0) close(g->fd);
  close(g->parent_fd);
  cgroup_none(g);
  errno = error;
  return -1;
}

bool cgroup_set(const struct cgroup *g, const char *assignment) {
  char name[64];
  const char *value = strchr(assignment, '=');
  size_t n = value ? (size_t)(value - assignment) : 0;
  if (n == 0 || n >= sizeof name || memchr(assignment, '/', n)) {
    errno = EINVAL;
    return false;
  }
  memcpy(name, assignment, n);
  name[n] = 0;
  return write_file(g->fd, name, value + 1);
}

/* A fork that is moved afterwards waits, on many kernels, until all processors have been
 * idle or switched; one that is born there does not. */
pid_t cgroup_fork(const struct cgroup *g) {
  if (g->fd < 0) return fork();
  struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)g->fd};
  pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (pid >= 0 || (errno != ENOSYS && errno != EINVAL && errno != E2BIG && errno != EPERM)) return pid;
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) < 0) return -1;
  pid = fork();
  if (pid == 0) {
    char go;
    close(gate[1]);
    if (read(gate[0], &go, 1) != 1) _exit(127);
    close(gate[0]);
    return 0;
  }
  int error = errno;
  if (pid > 0) {
    struct text t;
    text_clear(&t);
    text_number(&t, pid);
    t.bytes[t.length] = 0;
    bool entered = write_file(g->fd, "cgroup.procs", t.bytes);
    error = errno;
    if (!entered || write(gate[1], "g", 1) != 1) {
      kill(pid, SIGKILL);
      waitpid(pid, 0, 0);
      pid = -1;
    }
  }
  close(gate[0]);
  close(gate[1]);
  errno = error;
  return pid;
}

/* ---- looking ---- */

enum cgroup_state cgroup_state(const struct cgroup *g) {
  char text[256];
  if (g->fd < 0) return CGROUP_NONE;
  ssize_t n = pread(g->events_fd, text, sizeof text - 1, 0);
  if (n < 0) return errno == ENODEV ? CGROUP_EMPTY : CGROUP_UNKNOWN; /* removed, so it was empty */
  text[n] = 0;
  const char *populated = strstr(text, "populated ");
  if (!populated) return CGROUP_UNKNOWN;
  return populated[10] == '0' ? CGROUP_EMPTY : CGROUP_POPULATED;
}

/* One pid a line. */
static void add_procs(int dir_fd, struct pidset *into) {
  char part[4096];
  pid_t pid = 0;
  int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      if (part[i] >= '0' && part[i] <= '9') pid = pid * 10 + (part[i] - '0');
      else {
        if (pid != getpid()) pidset_add(into, pid); /* no step can make us end ourselves */
        pid = 0;
      }
    }
  close(fd);
}

/* The next cgroup below, opened; -1 after the last. */
static int next_below(DIR *dir, char name[256]) {
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (entry->d_name[0] == '.' || entry->d_type != DT_DIR) continue;
    int fd = open_dir(dirfd(dir), entry->d_name);
    if (fd < 0) continue;
    strncpy(name, entry->d_name, 255);
    return fd;
  }
  return -1;
}

static DIR *list(int dir_fd) {
  int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? 0 : fdopendir(fd);
  if (!dir && fd >= 0) close(fd);
  return dir;
}

static void add_all(int dir_fd, struct pidset *into, int depth) {
  char name[256] = {0};
  add_procs(dir_fd, into);
  DIR *dir = depth < DEEPEST ? list(dir_fd) : 0;
  if (!dir) return;
  for (int fd; (fd = next_below(dir, name)) >= 0; close(fd)) add_all(fd, into, depth + 1);
  closedir(dir);
}

void cgroup_pids(const struct cgroup *g, struct pidset *into) {
  if (g->fd >= 0) add_all(g->fd, into, 0);
}

int64_t cgroup_oom_kills(const struct cgroup *g) {
  char text[SMALL_FILE];
  int64_t kills;
  int fd = g->fd < 0 ? -1 : openat(g->fd, "memory.events", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n < 0) return -1;
  text[n] = 0;
  char *at = strstr(text, "oom_kill ");
  if (!at) return -1;
  char *end = strchr(at += 9, '\n');
  if (end) *end = 0;
  return parse_number(at, &kills) ? kills : -1;
}

/* ---- ending it ---- */

/* Before Linux 5.14: frozen, so that they cannot fork on, then one by one. Who is frozen here
 * dies of KILL all the same. */
static void kill_each(const struct cgroup *g) {
  static struct pidset killed, found;
  write_file(g->fd, "cgroup.freeze", "1"); /* before 5.2 there is none: the rounds alone */
  pidset_clear(&killed);
  for (int round = 0; round < KILL_ROUNDS; round++) {
    int fresh = 0;
    pidset_clear(&found);
    cgroup_pids(g, &found);
    for (int i = 0; i < found.count; i++) {
      if (pidset_add(&killed, found.list[i])) fresh++;
      kill(found.list[i], SIGKILL);
    }
    if (fresh == 0) return;
  }
}

bool cgroup_kill(const struct cgroup *g) {
  if (g->fd < 0) return false;
  if (!g->no_kill && write_file(g->fd, "cgroup.kill", "1")) return true;
  kill_each(g);
  return false;
}

static void remove_below(int dir_fd, int depth) {
  char name[256] = {0};
  DIR *dir = depth < DEEPEST ? list(dir_fd) : 0;
  if (!dir) return;
  for (int fd; (fd = next_below(dir, name)) >= 0;) {
    remove_below(fd, depth + 1);
    close(fd);
    unlinkat(dir_fd, name, AT_REMOVEDIR);
  }
  closedir(dir);
}

bool cgroup_remove(struct cgroup *g) {
  for (int i = 0; g->fd >= 0 && i < REMOVE_TRIES; i++) {
    if (unlinkat(g->parent_fd, g->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
      close(g->events_fd);
      close(g->fd);
      close(g->parent_fd);
      cgroup_none(g);
      break;
    }
    if (cgroup_state(g) == CGROUP_POPULATED) return false;
    remove_below(g->fd, 0);
    if (i > 0) poll(0, 0, i); /* the last of its dead may be on their way out */
  }
  return g->fd < 0;
}

/* ---- whether it can be had ---- */

bool cgroup_is_delegated(const char *dir) {
  char value[8];
  for (int i = 0; i < 2; i++) {
    ssize_t n = getxattr(dir, i == 0 ? "trusted.delegate" : "user.delegate", value, sizeof value);
    if (n == 1 && value[0] == '1') return true;
  }
  return false;
}

const char *cgroup_trial(const char *dir) {
  struct cgroup g;
  int status;
  cgroup_none(&g);
  if (cgroup_make(&g, dir) < 0) return "make";
  pid_t pid = cgroup_fork(&g);
  if (pid == 0)
    for (;;) pause();
  if (pid < 0) {
    int error = errno;
    cgroup_remove(&g);
    errno = error;
    return "enter";
  }
  bool was_populated = cgroup_state(&g) == CGROUP_POPULATED;
  cgroup_kill(&g);
  if (!was_populated) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  errno = EIO;
  if (!was_populated) return cgroup_remove(&g), "enter";
  return cgroup_remove(&g) ? 0 : "remove";
}
