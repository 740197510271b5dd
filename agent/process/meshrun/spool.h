/* spool: the step's output on disk, in the order it arrived (I7), bounded (I12).
 *
 * log.NNNNNN holds bytes of both streams as they came; index.NNNNNN says what they are,
 * in entries of 32 bytes, little-endian:
 *
 *   0  u64 offset   of the first byte, counted over both streams from the step's begin
 *   8  u64 length
 *  16  u64 arrival  wall clock, ms
 *  24  u8  kind     1 stdout, 2 stderr, 3 gap (bytes that were read and not kept)
 *  25  u8  reason   of a gap: 1 limit, 2 write failed;  26 u16 0;  28 u32 errno of a gap
 *
 * 1. The entry is written before its bytes. A reader trusts an entry as far as the segment
 *    is long, so meshrun killed in between loses no certainty about what is there.
 * 2. An entry grows in place while the same stream goes on within the same millisecond, and
 *    so does a gap; only the last entry ever changes.
 * 3. Segments are begun lazily, and removed by the reader when delivered, never the newest.
 *    At the limit meshrun looks which are gone; with no room it drops and counts, so that
 *    the child never blocks.
 * 4. A gap whose entry cannot be written (disk full) goes on until one can; if none ever
 *    can, it is reported in `gone`. */
#ifndef MESHRUN_SPOOL_H
#define MESHRUN_SPOOL_H
#include <stdbool.h>
#include <stdint.h>

enum spool_kind { SPOOL_STDOUT = 1, SPOOL_STDERR = 2, SPOOL_GAP = 3 };
enum spool_reason { GAP_LIMIT = 1, GAP_WRITE_FAILED = 2 };
enum { SPOOL_SEGMENTS = 1024 };

struct entry {
  uint64_t offset, length, arrival_ms;
  uint8_t kind, reason;
  uint16_t zero;
  uint32_t error;
};

struct spool {
  int step_fd, log_fd, index_fd;
  int64_t limit, segment_size, used;
  int64_t oldest, current; /* segment numbers; current -1: none yet */
  int64_t sizes[SPOOL_SEGMENTS];
  int64_t index_at; /* position of the last entry in the current index */
  struct entry last;
  struct entry pending; /* a gap not yet in the index: length > 0 */
  int64_t offset;
  int64_t dropped[3]; /* by stream kind */
};

void spool_open(struct spool *s, int step_fd, int64_t limit);
void spool_write(struct spool *s, enum spool_kind stream, const char *bytes, int64_t length);
/* Tries once more to put a pending gap on disk. */
void spool_finish(struct spool *s);
#endif
