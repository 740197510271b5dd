#include "text.h"

#include <string.h>

void text_clear(struct text *t) {
  t->length = 0;
  t->full = false;
}

static void put(struct text *t, char c) {
  if (t->length < sizeof t->bytes) t->bytes[t->length++] = c;
  else t->full = true;
}

void text_add(struct text *t, const char *s) {
  while (*s) put(t, *s++);
}

void text_number(struct text *t, int64_t n) {
  char digits[24];
  int i = 0;
  uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
  do digits[i++] = (char)('0' + v % 10);
  while (v /= 10);
  if (n < 0) put(t, '-');
  while (i) put(t, digits[--i]);
}

void text_quoted(struct text *t, const char *s) {
  static const char hex[] = "0123456789abcdef";
  put(t, '"');
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') {
      put(t, '\\');
      put(t, (char)c);
    } else if (c < 0x20 || c >= 0x7f) {
      text_add(t, "\\u00");
      put(t, hex[c >> 4]);
      put(t, hex[c & 15]);
    } else put(t, (char)c);
  }
  put(t, '"');
}

static void key_of(struct text *t, const char *key) {
  text_add(t, ",\"");
  text_add(t, key);
  text_add(t, "\":");
}

void text_field(struct text *t, const char *key, int64_t n) {
  key_of(t, key);
  text_number(t, n);
}

void text_flag(struct text *t, const char *key, bool on) {
  key_of(t, key);
  text_add(t, on ? "true" : "false");
}

bool parse_number(const char *s, int64_t *out) {
  int64_t n = 0;
  if (!*s) return false;
  for (; *s; s++) {
    if (*s < '0' || *s > '9' || n > (INT64_MAX - 9) / 10) return false;
    n = n * 10 + (*s - '0');
  }
  *out = n;
  return true;
}
