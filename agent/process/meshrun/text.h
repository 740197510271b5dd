/* text: one bounded line of text or JSON, built without stdio. A line that does
 * not fit is cut and marked full; callers size their lines so that it cannot be. */
#ifndef MESHRUN_TEXT_H
#define MESHRUN_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
  size_t length;
  bool full;
  char bytes[3072];
};

void text_clear(struct text *t);
void text_add(struct text *t, const char *s);
void text_number(struct text *t, int64_t n);
/* A JSON string with its quotes; bytes that are not plain ASCII become \u00XX. */
void text_quoted(struct text *t, const char *s);
/* ,"key":n */
void text_field(struct text *t, const char *key, int64_t n);
void text_flag(struct text *t, const char *key, bool on);

/* Decimal digits of s as a number; false unless all of s is digits and it fits. */
bool parse_number(const char *s, int64_t *out);
#endif
