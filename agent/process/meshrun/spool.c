#define _GNU_SOURCE
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "host.h"
#include "text.h"

enum { ENTRY = sizeof(struct entry), SMALLEST_SEGMENT = 64 << 10, LARGEST_SEGMENT = 4 << 20, SHARE_OF_LIMIT = 16 };

_Static_assert(ENTRY == 32, "the index format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the index format");

void spool_open(struct spool *s, int step_fd, int64_t limit) {
  int64_t size = limit / SHARE_OF_LIMIT;
  if (size < SMALLEST_SEGMENT) size = SMALLEST_SEGMENT;
  if (size > LARGEST_SEGMENT) size = LARGEST_SEGMENT;
  if (size < limit / (SPOOL_SEGMENTS / 2)) size = limit / (SPOOL_SEGMENTS / 2);
  s->step_fd = step_fd;
  s->log_fd = s->index_fd = -1;
  s->limit = limit;
  s->segment_size = size;
  s->used = s->oldest = s->offset = 0;
  s->current = -1;
  s->last.kind = 0;
  s->pending.length = 0;
  s->dropped[1] = s->dropped[2] = 0;
}

static const char *segment_name(struct text *t, const char *what, int64_t number) {
  text_clear(t);
  text_add(t, what);
  for (int64_t width = 100000; width > number && width > 1; width /= 10) text_add(t, "0");
  text_number(t, number);
  t->bytes[t->length] = 0;
  return t->bytes;
}

static void account(struct spool *s, int64_t bytes) {
  s->used += bytes;
  s->sizes[s->current % SPOOL_SEGMENTS] += bytes;
}

/* Forgets the segments the reader has removed. */
static void reclaim(struct spool *s) {
  struct text name;
  for (; s->oldest < s->current; s->oldest++) {
    if (faccessat(s->step_fd, segment_name(&name, "log.", s->oldest), F_OK, 0) == 0 || errno != ENOENT) return;
    s->used -= s->sizes[s->oldest % SPOOL_SEGMENTS];
  }
}

static bool begin_segment(struct spool *s) {
  struct text name;
  int64_t number = s->current + 1;
  if (number - s->oldest >= SPOOL_SEGMENTS) return false;
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC;
  /* The log first: a reader that sees an index finds its log, or knows it was removed. */
  int log_fd = openat(s->step_fd, segment_name(&name, "log.", number), flags | O_APPEND, 0644);
  if (log_fd < 0) return false;
  int index_fd = openat(s->step_fd, segment_name(&name, "index.", number), flags, 0644);
  if (index_fd < 0) {
    int error = errno;
    unlinkat(s->step_fd, segment_name(&name, "log.", number), 0);
    close(log_fd);
    errno = error;
    return false;
  }
  if (s->current >= 0) {
    close(s->log_fd);
    close(s->index_fd);
  }
  s->log_fd = log_fd;
  s->index_fd = index_fd;
  s->current = number;
  s->sizes[number % SPOOL_SEGMENTS] = 0;
  s->index_at = -ENTRY;
  s->last.kind = 0;
  return true;
}

static bool put_entry(struct spool *s, const struct entry *e, int64_t at) {
  ssize_t n = pwrite(s->index_fd, e, ENTRY, at);
  if (n == ENTRY) return true;
  if (n > 0) { /* a torn entry at the end: readers ignore it, and so does the next try */
    if (ftruncate(s->index_fd, at) < 0) errno = EIO;
    else errno = ENOSPC;
  }
  return false;
}

static bool append_entry(struct spool *s, const struct entry *e) {
  if (s->current < 0 || s->sizes[s->current % SPOOL_SEGMENTS] >= s->segment_size)
    if (!begin_segment(s)) return false;
  if (!put_entry(s, e, s->index_at + ENTRY)) return false;
  s->index_at += ENTRY;
  s->last = *e;
  account(s, ENTRY);
  return true;
}

/* Makes the last entry longer (or shorter) in place; that needs no space. */
static bool grow_last(struct spool *s, int64_t by) {
  struct entry e = s->last;
  e.length += (uint64_t)by;
  if (!put_entry(s, &e, s->index_at)) return false;
  s->last = e;
  return true;
}

/* Undoes append_entry for bytes of which none could be written: a full disk then makes
 * one growing gap, not an entry for each try. */
static void take_back_entry(struct spool *s, struct entry before) {
  s->index_at -= ENTRY;
  if (ftruncate(s->index_fd, s->index_at + ENTRY) == 0) account(s, -ENTRY);
  s->last = before;
  if (s->index_at < 0) s->last.kind = 0; /* that one is in the segment before */
}

static bool settle_gap(struct spool *s) {
  struct entry *p = &s->pending;
  if (p->length == 0) return true;
  if (s->last.kind == SPOOL_GAP && s->last.reason == p->reason) {
    if (!grow_last(s, (int64_t)p->length)) return false;
  } else if (!append_entry(s, p)) return false;
  p->length = 0;
  return true;
}

static void drop(struct spool *s, enum spool_kind stream, int64_t length, struct entry why) {
  if (s->pending.length == 0) {
    s->pending = why;
    s->pending.kind = SPOOL_GAP;
    s->pending.offset = (uint64_t)s->offset;
    s->pending.arrival_ms = (uint64_t)realtime_ms();
  }
  s->pending.length += (uint64_t)length;
  s->dropped[stream] += length;
  s->offset += length;
  settle_gap(s);
}

void spool_write(struct spool *s, enum spool_kind stream, const char *bytes, int64_t length) {
  if (s->used + length + ENTRY > s->limit) reclaim(s);
  int64_t room = s->limit - s->used - ENTRY;
  /* Having dropped, wait for a segment's worth of room: gaps stay few. */
  if (room <= 0 || (s->last.kind == SPOOL_GAP && room < s->segment_size && room < s->limit / 2)) {
    drop(s, stream, length, (struct entry){.reason = GAP_LIMIT});
    return;
  }
  if (!settle_gap(s)) {
    drop(s, stream, length, (struct entry){.reason = GAP_WRITE_FAILED, .error = (uint32_t)errno});
    return;
  }
  int64_t kept = length < room ? length : room;
  uint64_t now = (uint64_t)realtime_ms();
  struct entry before = s->last;
  bool same = s->last.kind == stream && s->last.arrival_ms == now &&
              s->sizes[s->current % SPOOL_SEGMENTS] < s->segment_size;
  struct entry e = {.offset = (uint64_t)s->offset, .length = (uint64_t)kept, .arrival_ms = now, .kind = (uint8_t)stream};
  if (!(same ? grow_last(s, kept) : append_entry(s, &e))) {
    drop(s, stream, length, (struct entry){.reason = GAP_WRITE_FAILED, .error = (uint32_t)errno});
    return;
  }
  int64_t done = 0;
  int error = 0;
  while (done < kept) {
    ssize_t n = write(s->log_fd, bytes + done, (size_t)(kept - done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error = errno;
      break;
    }
    done += n;
  }
  account(s, done);
  s->offset += done;
  if (done < kept) {
    if (done == 0 && !same) take_back_entry(s, before);
    else grow_last(s, done - kept);
    drop(s, stream, length - done, (struct entry){.reason = GAP_WRITE_FAILED, .error = (uint32_t)error});
  } else if (kept < length) drop(s, stream, length - kept, (struct entry){.reason = GAP_LIMIT});
}

void spool_finish(struct spool *s) { settle_gap(s); }
