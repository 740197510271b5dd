#define _GNU_SOURCE
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host.h"

int record_take(struct record *r, int step_fd, const char *cookie) {
  struct text token;
  text_clear(&token);
  text_add(&token, "record.");
  text_add(&token, cookie);
  token.bytes[token.length] = 0;
  r->lost = false;
  r->length = 0;
  if (renameat(step_fd, token.bytes, step_fd, "record") < 0) return -1;
  r->fd = openat(step_fd, "record", O_RDWR | O_CLOEXEC);
  if (r->fd < 0) return -1;
  if (fallocate(r->fd, FALLOC_FL_KEEP_SIZE, 0, RECORD_RESERVED) < 0 && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
  return 0;
}

void record_line(struct text *t, const char *type) {
  text_clear(t);
  text_add(t, "{\"type\":\"");
  text_add(t, type);
  text_add(t, "\"");
  text_field(t, "atMs", realtime_ms());
}

bool record_append(struct record *r, struct text *t) {
  text_add(t, "}\n");
  size_t done = 0;
  while (done < t->length) {
    ssize_t n = pwrite(r->fd, t->bytes + done, t->length - done, r->length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      r->lost = true;
      return false;
    }
    done += (size_t)n;
    r->length += n;
  }
  return true;
}
