#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static void describe(struct failure *f, int error, const char *path, const char *reason) {
  f->error = error;
  strncpy(f->stage, "exec", sizeof f->stage - 1);
  strncpy(f->reason, reason, sizeof f->reason - 1);
  strncpy(f->path, path, sizeof f->path - 1);
}

/* errno alone does not tell a missing program from a missing interpreter, nor a broken
 * binary from a text file that lacks its first line. */
static const char *reason_of(int error, const char *path) {
  struct stat st;
  char magic[4] = {0};
  bool there = stat(path, &st) == 0;
  if (there && S_ISDIR(st.st_mode)) return "is-directory";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, magic, sizeof magic) < 0) magic[0] = 0;
    close(fd);
  }
  bool elf = memcmp(magic, "\177ELF", 4) == 0;
  switch (error) {
    case ENOENT: return there ? "interpreter-missing" : "not-found";
    case ENOTDIR: return "not-found";
    case EACCES: return there && (st.st_mode & 0111) ? "not-permitted" : "not-executable";
    case ENOEXEC: return elf ? "corrupt" : magic[0] == 0 ? "empty" : "no-interpreter-line";
    case ELIBBAD: case EINVAL: case EIO: case EFAULT: return elf ? "corrupt" : "other";
    case E2BIG: return "arguments-too-long";
    default: return "other";
  }
}

void exec_search(char **argv, char **env, struct failure *f) {
  char path[PATH_MAX];
  const char *name = argv[0];
  bool denied = false;
  char denied_path[PATH_MAX];
  if (!*name) {
    describe(f, ENOENT, name, "not-found");
    return;
  }
  if (strchr(name, '/')) {
    execve(name, argv, env);
    int error = errno;
    describe(f, error, name, reason_of(error, name));
    return;
  }
  const char *dirs = DEFAULT_PATH;
  for (char **e = env; *e; e++)
    if (strncmp(*e, "PATH=", 5) == 0) dirs = *e + 5;
  for (const char *at = dirs;;) {
    const char *end = strchrnul(at, ':');
    size_t n = (size_t)(end - at);
    if (n + strlen(name) + 3 < sizeof path) {
      memcpy(path, n ? at : ".", n ? n : 1);
      strcpy(path + (n ? n : 1), "/");
      strcat(path, name);
      execve(path, argv, env);
      int error = errno;
      const char *reason = reason_of(error, path);
      if (error == EACCES) {
        if (!denied && strcmp(reason, "is-directory") != 0) strcpy(denied_path, path), denied = true;
      } else if ((error != ENOENT && error != ENOTDIR) || strcmp(reason, "interpreter-missing") == 0) {
        describe(f, error, path, reason);
        return;
      }
    }
    if (!*end) break;
    at = end + 1;
  }
  if (denied) describe(f, EACCES, denied_path, reason_of(EACCES, denied_path));
  else describe(f, ENOENT, name, "not-found");
}
